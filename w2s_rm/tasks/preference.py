"""Any preference dataset in TRL's formats: explicit or implicit prompt, text or conversations, labelled or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

from w2s_rm.data.grouping import join_shared_candidates
from w2s_rm.data.reading import content_version, read_rows, require_columns
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._comparison import after_prompt, comparison, is_null, parse_text, split_common
from w2s_rm.types import Example, Row, Text, content_hash

_PREFERRED: Mapping[object, int] = {"a": 0, "A": 0, "0": 0, 0: 0, "b": 1, "B": 1, "1": 1, 1: 1}


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
        preferred_column (`str`, *optional*): Which of a and b is preferred: `a`, `b`, `0`, `1`, or null for unknown.
            Without it, no comparison has a ground truth.
        group_column (`str`, *optional*): Rows with the same value stay in one split.
        group_by (`str` or `dict`, *optional*, defaults to `"prompt"`): Without a group_column, rows stay in one split
            that have the same prompt (without any prompt each row stands by itself), or the same first response
            (`chosen`), or whose first response begins with the same n words (`{first_words: n}`), or that have a
            response in common, directly or over other rows (`candidates`). Where the text that is worse in one
            comparison is the better one of another, `chosen` turns a leak around instead of closing it: a text that
            training has seen lose is then right in test more often than not.
        id_column (`str`, *optional*): Unique name of a row; by default a hash of the prompt and the two responses in
            either order.
        separator (`str`, *optional*, defaults to `""`): Text put between prompt and response. TRL concatenates as is,
            and so does the default.
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
    group_column: str | None = None
    group_by: str | dict[str, int] = "prompt"
    id_column: str | None = None
    separator: str = ""

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
        if self.group_by not in ("prompt", "chosen", "candidates") and self._first_words is None:
            raise ConfigError(f"group_by is {self.group_by!r}; write prompt, chosen, candidates, or {{first_words: 5}}")
        if self.group_column is not None and self.group_by != "prompt":
            raise ConfigError("group_column and group_by say the same thing: remove one of them")
        if self.separator and not self.prompt_column:
            raise ConfigError(
                "separator goes between prompt and response, but prompt_column is empty: remove one of them"
            )

    @property
    def _first_words(self) -> int | None:
        if not isinstance(self.group_by, dict) or set(self.group_by) != {"first_words"}:
            return None
        n = self.group_by["first_words"]
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None

    @property
    def has_ground_truth(self) -> bool:
        """Whether the dataset says which response is better."""
        return self.response_a_column is None or self.preferred_column is not None

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.revision)

    def rows(self) -> Iterator[Row]:
        """Read the dataset.

        Raises:
            DataError: Unreadable, or a column is missing.
        """
        rows = read_rows(self.path, self.split, config_name=self.config_name, revision=self.revision)
        first = next(rows)
        require_columns(first, self.columns)
        return chain([first], rows)

    @property
    def columns(self) -> dict[str, str]:
        """The columns a row must have, by the option that names them."""
        pair = ("chosen_column", "rejected_column")
        if self.response_a_column is not None:
            pair = ("response_a_column", "response_b_column")
        options = ("prompt_column", *pair, "preferred_column", "group_column", "id_column")
        named = {option: getattr(self, option) for option in options}
        return {option: column for option, column in named.items() if column is not None and column != ""}

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example: chosen before rejected, a before b.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: The row is no comparison; says where, why and what to do.
        """
        require_columns(row, self.columns)
        cells = {option: row.values[column] for option, column in self.columns.items()}
        try:
            prompt, candidates = self._texts(cells)
            id, group = _key(cells, "id_column"), _key(cells, "group_column") or self._group(candidates[0])
            return comparison(prompt, candidates, self._gold(cells), group=group, id=id)
        except DataError as error:
            raise DataError(f"{row.place}: {error}") from error

    def _texts(self, cells: Mapping[str, Any]) -> tuple[Text, tuple[Text, ...]]:
        names = ("response_a_column", "response_b_column")
        if self.response_a_column is None:
            names = ("chosen_column", "rejected_column")
        a, b = (parse_text(cells[option], repr(self.columns[option])) for option in names)
        if self.prompt_column:
            prompt = parse_text(cells["prompt_column"], repr(self.prompt_column))
            if isinstance(prompt, str) and not isinstance(a, str):
                comparison((), (a, b), None)
                return after_prompt(prompt, (a, b))
            return prompt, (self._separated(a), self._separated(b))
        # Check the whole texts first: blank or equal ones have no meaningful common beginning.
        comparison("" if isinstance(a, str) else (), (a, b), None)
        return split_common((a, b))

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Join the groups of comparisons that share a response, if `group_by` says so."""
        return join_shared_candidates(examples) if self.group_by == "candidates" else examples

    def _group(self, first: Text) -> str | None:
        """What of the first response keeps rows together; `None` where the prompt does."""
        if self.group_by == "prompt":
            return None
        if self.group_by == "candidates":
            return content_hash(first)
        text = first if isinstance(first, str) else "\n".join(message["content"] for message in first)
        return " ".join(text.split()[: self._first_words])

    def _separated(self, response: Text) -> Text:
        if not self.separator:
            return response
        if not isinstance(response, str):
            raise DataError("separator is for plain text, but this is a conversation; remove the option")
        return self.separator + response if response.strip() else response

    def _gold(self, cells: Mapping[str, Any]) -> int | None:
        if self.response_a_column is None:
            return 0
        value = cells.get("preferred_column")
        if is_null(value) or value == "":
            return None
        if isinstance(value, bool | list | dict) or value not in _PREFERRED:
            raise DataError(f"{self.preferred_column!r} is {value!r}; write a, b, 0, 1, or null where unknown")
        return _PREFERRED[value]


def _key(cells: Mapping[str, Any], option: str) -> str | None:
    """The value of an optional key column as text; `None` if the option is not used."""
    if option not in cells:
        return None
    value = cells[option]
    if is_null(value) or value == "":
        raise DataError(f"{option} is empty in this row; fill it, or leave the option out")
    key = str(value)
    parse_text(key, option)
    return key
