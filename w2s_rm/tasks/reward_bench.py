"""RewardBench (Lambert et al. 2024, arXiv 2403.13787): pairs of responses that judge a reward model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from w2s_rm.data.grouping import GroupBy, check_group_by, join_shared_candidates, own_group
from w2s_rm.data.reading import KeptRows, content_version, is_hub_id, read_rows, require_columns
from w2s_rm.errors import ConfigError, DataError, OptionError
from w2s_rm.tasks._comparison import comparison, is_blank, is_null, parse_text
from w2s_rm.types import Example, Messages, Row, Text

_HUB_ID = "allenai/reward-bench"
_COLUMNS = {name: name for name in ("prompt", "chosen", "rejected", "subset", "id")}


@dataclass(frozen=True)
class RewardBench:
    """Comparisons of `allenai/reward-bench`, or of a file in its columns: prompt, chosen, rejected, subset, id.

    A prompt is text, what a user says, or a conversation that ends with a user's message; a response is text. Rows with
    the same prompt stay in one split, unless `group_by` says otherwise. Rows with an empty prompt or response, or two
    equal responses, are no comparison: `rows` leaves them out and logs how many.

    Args:
        path (`str`, *optional*, defaults to `"allenai/reward-bench"`): Hub id, file or folder.
        split (`str`, *optional*): By default `filtered`, which is the benchmark, and of a file or folder all rows.
        revision (`str`, *optional*): Branch, tag or commit of the hub dataset.
        format (`"text"` or `"conversational"`, *optional*, defaults to `"text"`): Join prompt and response as text, or
            make them the messages of a user and an assistant, for a chat template. The command `evaluate` takes
            `conversational` by itself for a model with a chat template.
        prefix (`str`, *optional*, defaults to `""`): With `text`, what stands before the prompt.
        separator (`str`, *optional*, defaults to `"\\n\\n"`): With `text`, what stands between prompt and response. A
            model trained on Anthropic's transcripts wants `prefix="\\n\\nHuman: "` and `separator="\\n\\nAssistant: "`.
        group_by (`str` or `dict`, *optional*, defaults to `"prompt"`): What stays in one split, as in
            [`Preference`][w2s_rm.tasks.preference.Preference]: `prompt`, `chosen`, `candidates`, `{first_words: n}`.
    """

    path: str = _HUB_ID
    split: str | None = None
    revision: str | None = None
    format: Literal["text", "conversational"] = "text"
    prefix: str = ""
    separator: str = "\n\n"
    group_by: GroupBy = "prompt"

    setting: ClassVar[str] = "reward_modeling"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "prompt": "What do bees make?",
        "chosen": "They make honey.",
        "rejected": "They make noise only.",
        "subset": "alpacaeval-easy",
        "id": 7,
    }

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: Unknown format or grouping, or text around messages.
        """
        check_group_by(self.group_by)
        if self.format not in ("text", "conversational"):
            raise OptionError("reward_bench", {"format": f"is {self.format!r}; write text or conversational"})
        # At their defaults nobody asked for them.
        if self.format == "conversational" and (self.prefix, self.separator) != ("", "\n\n"):
            raise ConfigError("prefix and separator are for format: text; a chat template has its own, remove them")

    @property
    def has_ground_truth(self) -> bool:
        """Every comparison has a better response."""
        return True

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.revision)

    def rows(self) -> Iterator[Row]:
        """Read the rows that are comparisons; how many are not is logged as a warning at the end.

        Raises:
            DataError: Unreadable, a column is missing, or all rows are left out.
        """
        # A local folder may have the name of the benchmark; it has its own files and no split `filtered`.
        is_benchmark = self.path == _HUB_ID and is_hub_id(self.path)
        rows = read_rows(self.path, self.split or ("filtered" if is_benchmark else None), revision=self.revision)
        return KeptRows(self.path, rows, _why_unusable)

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example, chosen before rejected.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: The row is no comparison; says where and why.
        """
        require_columns(row, _COLUMNS)
        try:
            prompt = parse_text(row.values["prompt"], "'prompt'")
            responses = tuple(_response(row, column) for column in ("chosen", "rejected"))
            if is_null(row.values["id"]) or not str(row.values["id"]):
                raise DataError("'id' is empty; number the rows")
            # The benchmark's numbers are unique only within it.
            id = f"{row.values['subset']}/{row.values['id']}"
            group = own_group(self.group_by, responses[0])
            if self.format == "text":
                return comparison(self._opening(prompt), responses, 0, group=group, id=id)
            # A message of the assistant each; as text a template could not be applied.
            said: tuple[Text, ...] = tuple(({"role": "assistant", "content": text},) for text in responses)
            return comparison(_conversation(prompt), said, 0, group=group, id=id)
        except DataError as error:
            raise DataError(f"{row.place}: {error}") from error

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Join the groups of comparisons that share a response, if `group_by` says so."""
        return join_shared_candidates(examples) if self.group_by == "candidates" else examples

    def _opening(self, prompt: Text) -> str:
        if not isinstance(prompt, str):
            raise DataError("'prompt' is a conversation; set format=conversational, for a model with a chat template")
        return f"{self.prefix}{prompt}{self.separator}"


def _response(row: Row, column: str) -> str:
    text = parse_text(row.values[column], repr(column))
    if not isinstance(text, str):
        raise DataError(f"{column!r} is a list of messages; write the response alone, as text")
    return text


def _conversation(prompt: Text) -> Messages:
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    if not prompt or prompt[-1]["role"] != "user":
        raise DataError("'prompt' is a conversation that does not end with a message of the user")
    return prompt


def _why_unusable(row: Row) -> str | None:
    require_columns(row, _COLUMNS)
    # Cells as they are: nulls and blanks are to be counted, and `parse_text` refuses them.
    prompt, *responses = (row.values[name] for name in ("prompt", "chosen", "rejected"))
    if _is_empty(prompt):
        return "with an empty prompt"
    if any(map(_is_empty, responses)):
        return "with an empty response"
    return "with two equal responses" if responses[0] == responses[1] else None


def _is_empty(value: object) -> bool:
    return is_null(value) or (isinstance(value, str) and is_blank(value))
