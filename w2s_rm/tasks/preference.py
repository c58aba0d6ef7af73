"""Any preference dataset in TRL's formats: explicit or implicit prompt, text or conversations, labelled or not."""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar

from w2s_rm.data.grouping import GroupBy, check_group_by, join_shared_candidates, own_group
from w2s_rm.data.messages import SHAREGPT, parse_template_kwargs, words
from w2s_rm.data.reading import KeptRows, content_version, read_rows, require_columns
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._comparison import after_prompt, comparison, is_null, parse_text, split_common
from w2s_rm.tasks._source import label_key
from w2s_rm.types import Example, Row, Text

logger = logging.getLogger(__name__)

_PREFERRED = {"a": 0, "0": 0, "model_a": 0, "b": 1, "1": 1, "model_b": 1}
_TIES = ("tie", "both", "neither", "equal", "draw")
_SOURCES = ("preferred_column", "rating_columns", "strength_column", "votes_columns")
_CHOICES = {
    "ties": ("error", "half", "drop"),
    "unlabelled": ("error", "drop"),
    "contradictions": ("majority", "soft"),
    "alike": ("error", "drop"),
}


@dataclass(frozen=True)
class Preference:
    """Pairs of responses to a prompt, of which one is preferred, or none is known to be.

    Args:
        path (`str`): JSONL, CSV or Parquet file, folder, hub id, or `package:<module>/<path>`: see
            [`read_rows`][w2s_rm.data.reading.read_rows].
        split (`str`, *optional*): Which rows of `path`, by default all. The splits of an experiment are drawn by hash
            from these.
        config_name (`str`, *optional*): Configuration of a hub dataset.
        revision (`str`, *optional*): Branch, tag or commit of a hub dataset.
        prompt_column (`str` or `None`, *optional*, defaults to `"prompt"`): `""` or `None` for an implicit prompt:
            both responses then hold the whole text or conversation, and what they have in common at the beginning is
            the prompt, cut at a word or message. For text that is a guess: where both answers begin with the same
            words, those count as prompt, so name a group_column if you can. A prompt as text beside whole conversations
            must be their first user message.
        chosen_column (`str`, *optional*, defaults to `"chosen"`): The preferred response.
        rejected_column (`str`, *optional*, defaults to `"rejected"`): The other one.
        response_a_column (`str`, *optional*): With `response_b_column` instead of chosen and rejected: responses in no
            particular order.
        response_b_column (`str`, *optional*): See `response_a_column`.
        preferred_column (`str`, *optional*): Which of a and b is preferred: `a`, `b`, `0`, `1`, `model_a`, `model_b`,
            `tie` (whatever follows it), `both`, `neither`, or null for unknown.
        rating_columns (`list[str]`, *optional*): Two columns with ratings of the first and the second response: the
            higher one wins, equal ones are a tie.
        strength_column (`str`, *optional*): A column with numbers that say by how much the second response is better,
            below zero where the first one is: -3 to 3 in HelpSteer's preferences. Zero is a tie.
        rating_scale (`float`, *optional*): With rating_columns or strength_column, make the truth soft: the first
            response is better with probability `sigmoid((first rating - second rating) / rating_scale)`, or
            `sigmoid(-strength / rating_scale)`.
        votes_columns (`list[str]`, *optional*): Two columns with numbers of votes for the first and the second
            response: the majority wins, and the truth is soft, the share of the votes. No votes at all are no truth. A
            third column holds votes for a tie, each of them half a vote for either.
        ties (`str`, *optional*, defaults to `"error"`): What to do with a tie: `error`, `drop` the row, or `half`: a
            soft truth of one half each, on which no accuracy is counted.
        unlabelled (`str`, *optional*, defaults to `"error"`): What to do with a row without truth among rows that have
            one: `error`, or `drop`. Responses a and b without a column that says which is better have no ground truth
            at all.
        contradictions (`str`, *optional*, defaults to `"majority"`): What rows of the same content become that differ
            in their truth: what the `majority` of them says, or a `soft` truth, the share of the rows. Where rows have
            a soft truth already, it is always the mean.
        alike (`str`, *optional*, defaults to `"error"`): What to do with a row whose responses are equal, or are
            conversations that say the same and differ in roles, thoughts or outer white space only, which chat
            templates may hide: `drop` it, or `error`, for conversations only where a template does hide it.
        margin_column (`str`, *optional*): Numbers by which the better response's score shall be the higher one: weak
            model and ceiling are trained with `-log sigmoid(better - worse - margin)`, as TRL's reward trainer does
            with a column `margin`. Students know only the weak labels.
        group_column (`str`, *optional*): Rows with the same value stay in one split.
        group_by (`str` or `dict`, *optional*, defaults to `"prompt"`): Without a group_column, rows stay in one split
            that have the same prompt (without any prompt each row stands by itself), or the same better response
            (`chosen`; without truth the first one), or whose better response begins with the same n words
            (`{first_words: n}`), or that have a response in common, or a prompt that is no general instruction,
            directly or over other rows (`candidates`). Where the prompt is implicit, a response is the whole text.
            Where the text that is worse in one comparison is the better one of another, `chosen` turns a leak around
            instead of closing it: a text that training has seen lose is then right in test more often than not.
        id_column (`str`, *optional*): Unique name of a row; by default a hash of the prompt and the two responses in
            either order.
        separator (`str`, *optional*, defaults to `""`): Text put between prompt and response. TRL concatenates as is,
            and so does the default.
        roles (`str` or `dict`, *optional*): Who speaks in messages, by the names that chat templates know:
            `{gpt: assistant}`, or `sharegpt` for `human` (user) and `gpt`, `chatgpt`, `bot` and `model` (assistant).
            With it, messages may be written with `from` and `value` instead of `role` and `content`.
        tools_column (`str`, *optional*, defaults to `"tools"`): Schemas of the tools that a conversation may call, as
            a list or JSON, for the chat template; used where it is there, and with `""` never. A column
            `chat_template_kwargs` gives the template further arguments, as in TRL.
    """

    path: str
    split: str | None = None
    config_name: str | None = None
    revision: str | None = None
    prompt_column: str | None = "prompt"
    chosen_column: str = "chosen"
    rejected_column: str = "rejected"
    response_a_column: str | None = None
    response_b_column: str | None = None
    preferred_column: str | None = None
    rating_columns: list[str] | None = None
    strength_column: str | None = None
    rating_scale: float | None = None
    votes_columns: list[str] | None = None
    ties: str = "error"
    unlabelled: str = "error"
    contradictions: str = "majority"
    alike: str = "error"
    margin_column: str | None = None
    group_column: str | None = None
    group_by: GroupBy = "prompt"
    id_column: str | None = None
    separator: str = ""
    roles: str | dict[str, str] | None = None
    tools_column: str = "tools"

    setting: ClassVar[str] = "reward_modeling"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "prompt": "What do bees make? ",
        "chosen": "They make honey.",
        "rejected": "They make noise only.",
    }

    def __post_init__(self) -> None:
        """Check that the options fit each other.

        Raises:
            ConfigError: They do not.
        """
        if (self.response_a_column is None) != (self.response_b_column is None):
            raise ConfigError("response_a_column and response_b_column belong together: name both, or neither")
        if self.preferred_column is not None and self.response_a_column is None:
            raise ConfigError("preferred_column chooses between response_a_column and response_b_column: name them too")
        self._check_truth()
        if self.roles not in (None, "sharegpt") and not _names_roles(self.roles):
            raise ConfigError(
                f"roles is {self.roles!r}; write sharegpt, or which name stands for which role, as in "
                "{gpt: assistant}"
            )
        check_group_by(self.group_by)
        if self.group_column is not None and self.group_by != "prompt":
            raise ConfigError("group_column and group_by say the same thing: remove one of them")
        if self.separator and not self.prompt_column:
            raise ConfigError(
                "separator goes between prompt and response, but prompt_column is empty: remove one of them"
            )

    def _check_truth(self) -> None:
        sources = {name: getattr(self, name) for name in _SOURCES}
        stated = [name for name, value in sources.items() if value is not None]
        problems = [] if len(stated) < 2 else [f"{' and '.join(stated)} both say which response is better: keep one"]
        for name, most in (("rating_columns", 2), ("votes_columns", 3)):
            columns = sources[name]
            if columns is None or (2 <= len(columns) <= most and all(isinstance(column, str) for column in columns)):
                continue
            third = ", and after them one of votes for neither if you like" if most == 3 else ""
            problems.append(f"{name} is {columns!r}; name two columns, of the first and of the second response{third}")
        rated = self.rating_columns is not None or self.strength_column is not None
        if self.rating_scale is not None and not (rated and 0 < self.rating_scale < math.inf):
            problems.append(
                "rating_scale is a positive number that divides differences of rating_columns, or strength_column"
            )
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                problems.append(f"{name} is {getattr(self, name)!r}; write {' or '.join(known)}")
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def has_ground_truth(self) -> bool:
        """Whether the dataset says which response is better."""
        return self.response_a_column is None or any(getattr(self, source) is not None for source in _SOURCES)

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.revision)

    def rows(self) -> Iterator[Row]:
        """Read the dataset, without the rows that `ties`, `unlabelled` and `alike` drop, which are counted in the log.

        Raises:
            DataError: Unreadable, or a column is missing.
        """
        rows = read_rows(self.path, self.split, config_name=self.config_name, revision=self.revision)
        # What is missing in all rows is said once.
        first = next(rows)
        require_columns(first, self.columns)
        # TRL adds a column of this name to its loss by itself, so that somebody may expect it here.
        if self.margin_column is None and "margin" in first.values:
            logger.warning("%s: the column 'margin' is not used; set margin_column: margin to use it", self.path)
        return KeptRows(self.path, chain([first], rows), self.left_out)

    def left_out(self, row: Row) -> str | None:
        """Say why a row of the dataset is not used; `None` for one that is.

        Args:
            row (`Row`): One record.
        """
        try:
            require_columns(row, self.columns)
            outcome = self._outcome(row)
            # First: of a row that is not used, nobody needs the texts.
            if outcome is Outcome.TIE and self.ties == "drop":
                return "that are ties"
            if outcome is Outcome.UNKNOWN and self.unlabelled == "drop":
                return "without ground truth"
            alike = self.alike == "drop" and len(set(map(_said, self._responses(self._cells(row))))) == 1
        except DataError:
            # `to_example` names the row and what is wrong with it.
            return None
        return "whose responses are alike" if alike else None

    @property
    def columns(self) -> dict[str, str]:
        """The columns a row must have, by the option that names them."""
        pair = ("chosen_column", "rejected_column")
        if self.response_a_column is not None:
            pair = ("response_a_column", "response_b_column")
        of_truth = ("preferred_column", "strength_column", "margin_column")
        options = ("prompt_column", *pair, *of_truth, "group_column", "id_column")
        named = {option: getattr(self, option) for option in options}
        # The default may be missing from a dataset; a column that is named must be there.
        named["tools_column"] = None if self.tools_column == "tools" else self.tools_column
        for option in ("rating_columns", "votes_columns"):
            # Each under its place, so that a message names the one that is missing.
            named |= {f"{option}[{index}]": column for index, column in enumerate(getattr(self, option) or ())}
        return {option: column for option, column in named.items() if column is not None and column != ""}

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example: chosen before rejected, a before b.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: The row is no comparison; says where, why and what to do.
        """
        cells = self._cells(row)
        try:
            prompt, candidates = self._texts(cells)
            gold, truth = self._truth(row)
            id, group = _key(cells, "id_column"), _key(cells, "group_column")
            if group is None:
                group = own_group(self.group_by, self._whole(prompt, candidates[gold or 0]))
            # Where none is better there is no score that should be the higher one.
            margin = None if gold is None else self._margin(row)
            # Plain text goes through no chat template.
            template_kwargs = (
                {} if isinstance(candidates[0], str) else parse_template_kwargs(row.values, self.tools_column)
            )
            example = comparison(prompt, candidates, gold, group=group, id=id, template_kwargs=template_kwargs)
            return replace(example, truth=truth, margin=margin)
        except DataError as error:
            raise DataError(f"{row.place}: {error}") from error

    def _cells(self, row: Row) -> dict[str, Any]:
        require_columns(row, self.columns)
        return {option: row.values[column] for option, column in self.columns.items()}

    def _responses(self, cells: Mapping[str, Any]) -> tuple[Text, Text]:
        names = ("response_a_column", "response_b_column")
        if self.response_a_column is None:
            names = ("chosen_column", "rejected_column")
        a, b = (parse_text(cells[option], repr(self.columns[option]), self._speakers) for option in names)
        return a, b

    @property
    def _speakers(self) -> Mapping[str, str] | None:
        return SHAREGPT if isinstance(self.roles, str) else self.roles

    def _texts(self, cells: Mapping[str, Any]) -> tuple[Text, tuple[Text, ...]]:
        a, b = self._responses(cells)
        if self.prompt_column:
            prompt = parse_text(cells["prompt_column"], repr(self.prompt_column), self._speakers)
            if isinstance(prompt, str) and not isinstance(a, str):
                # For its checks: blank or equal conversations have no meaningful beginning.
                comparison((), (a, b), None)
                return after_prompt(prompt, (a, b))
            return prompt, (self._separated(a), self._separated(b))
        # Check the whole texts first: blank or equal ones have no meaningful common beginning.
        comparison("" if isinstance(a, str) else (), (a, b), None)
        return split_common((a, b))

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Join the groups of comparisons that share a response, if `group_by` says so."""
        if self.group_by != "candidates":
            return examples
        return join_shared_candidates(examples, whole=not self.prompt_column)

    def _whole(self, prompt: Text, response: Text) -> Text:
        """The response, with its beginning where that was cut off as the prompt of two texts."""
        if self.prompt_column or not isinstance(prompt, str) or not isinstance(response, str):
            return response
        return prompt + response

    def _separated(self, response: Text) -> Text:
        if not self.separator:
            return response
        if not isinstance(response, str):
            raise DataError("separator is for plain text, but this is a conversation; remove the option")
        # A blank response stays blank, so that it is refused as one.
        return self.separator + response if response.strip() else response

    def _truth(self, row: Row) -> tuple[int | None, tuple[float, ...] | None]:
        """Gold index and soft truth of a row."""
        outcome = self._outcome(row)
        if outcome is Outcome.TIE:
            if self.ties != "half":
                raise DataError("it is a tie; set ties: half for a soft truth of one half each, or ties: drop")
            return None, (0.5, 0.5)
        if outcome is Outcome.UNKNOWN:
            # Where no column says which response is better, no row lacks anything.
            if self.has_ground_truth and self.unlabelled != "drop":
                raise DataError("it has no ground truth, and other rows have; fill it, or set unlabelled: drop")
            return None, None
        first = self._first_share(row)
        # A truth of 1 or 0, of which rows of the same content then make a mean.
        if first is None and self.contradictions == "soft":
            first = 1.0 - outcome.value
        return outcome.value, None if first is None else (first, 1.0 - first)

    def _margin(self, row: Row) -> float | None:
        if self.margin_column is None:
            return None
        value = row.values[self.margin_column]
        margin = _number(value, self.margin_column, least=-math.inf)
        if margin is None:
            raise DataError(f"{self.margin_column!r} (margin_column) is empty; write a number, 0 for no margin")
        return margin

    def _outcome(self, row: Row) -> Outcome:
        """Which response of a row is better."""
        if any(columns is not None for columns in (self.rating_columns, self.strength_column, self.votes_columns)):
            numbers = self._numbers(row)
            if numbers is None:
                return Outcome.UNKNOWN
            first, second = numbers
            return Outcome.TIE if first == second else Outcome(int(first < second))
        if self.preferred_column is None:
            return Outcome.FIRST if self.response_a_column is None else Outcome.UNKNOWN
        value = row.values[self.preferred_column]
        word = label_key(value)
        if not word:
            return Outcome.UNKNOWN
        # Arenas also write, for example, `tie (bothbad)`.
        if word.startswith(_TIES):
            return Outcome.TIE
        if isinstance(value, bool | list | dict) or word not in _PREFERRED:
            raise DataError(f"{self.preferred_column!r} is {value!r}; write a, b, 0, 1, tie, or null where unknown")
        return Outcome(_PREFERRED[word])

    def _numbers(self, row: Row) -> tuple[float, float] | None:
        """Ratings or votes of both responses; `None` where they say nothing."""
        if self.strength_column is not None:
            strength = _number(row.values[self.strength_column], self.strength_column, -math.inf)
            # A strength is a difference already: that of the second response over the first.
            return None if strength is None else (0.0, strength)
        least = -math.inf if self.votes_columns is None else 0.0
        columns = self.votes_columns or self.rating_columns or ()
        numbers = [_number(row.values[column], column, least) for column in columns]
        known = [number for number in numbers if number is not None]
        # A rating of 0 is one; no votes at all say nothing.
        if len(known) < len(numbers) or (self.votes_columns is not None and not any(known)):
            return None
        # Two columns and no votes for neither, or three.
        first, second, neither = (*known, 0.0)[:3]
        return first + neither / 2, second + neither / 2

    def _first_share(self, row: Row) -> float | None:
        """Probability that the first response is better, where the truth is soft."""
        numbers = self._numbers(row) if self.votes_columns is not None or self.rating_scale is not None else None
        if numbers is None:
            return None
        # Votes are counted as shares; a difference of ratings is Bradley and Terry's log-odds, in units of the scale.
        first, second = numbers
        if self.rating_scale is None:
            return first / (first + second)
        # A distance of 700 is the most that exp can take, and far beyond where float64 is 0 or 1.
        return 1.0 / (1.0 + math.exp(min(max((second - first) / self.rating_scale, -700.0), 700.0)))


def _said(response: Text) -> str | tuple[str, ...]:
    """What no chat template hides of a response."""
    if isinstance(response, str):
        return response
    # Templates of models that think leave out what stands before this mark.
    return tuple(words(message).rsplit("</think>", 1)[-1].strip() for message in response)


def _names_roles(roles: object) -> bool:
    return isinstance(roles, dict) and all(isinstance(name, str) for pair in roles.items() for name in pair)


class Outcome(enum.Enum):
    """Which of two responses is better; the value of a decided one is its index."""

    FIRST = 0
    SECOND = 1
    TIE = "tie"
    UNKNOWN = "unknown"


def _number(value: object, column: str, least: float) -> float | None:
    """The number in a cell; `None` where it is empty."""
    if is_null(value) or value == "":
        return None
    try:
        # To Python, true is the number 1.
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    # Written this way round, NaN is outside, also one that was written as such.
    if not least <= number < math.inf:
        raise DataError(
            f"{column!r} is {value!r}, no number{' from 0 up' if least == 0 else ''}; correct it or empty it"
        )
    return number


def _key(cells: Mapping[str, Any], option: str) -> str | None:
    """The value of an optional key column as text; `None` if the option is not used."""
    if option not in cells:
        return None
    value = cells[option]
    if is_null(value) or value == "":
        raise DataError(f"{option} is empty in this row; fill it, or leave the option out")
    key = str(value)
    # Keys are hashed and written to files, so no half characters in them either.
    parse_text(key, option)
    return key
