"""Anthropic's helpful and harmless comparisons (arXiv 2204.05862): two transcripts that share their beginning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from w2s_rm.data.grouping import GroupBy, check_group_by, join_shared_candidates, own_group
from w2s_rm.data.reading import KeptRows, content_version, read_rows, require_columns, resolve_path
from w2s_rm.errors import DataError, OptionError
from w2s_rm.tasks._comparison import comparison, is_null, parse_text
from w2s_rm.types import Example, Messages, Row, content_hash

_ASSISTANT = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_COLUMNS = {"chosen": "chosen", "rejected": "rejected"}


@dataclass(frozen=True)
class AnthropicHh:
    r"""Comparisons of `Anthropic/hh-rlhf`, or of local files in its form: the columns `chosen` and `rejected`.

    Each holds a transcript `\n\nHuman: ...\n\nAssistant: ...`. The prompt is everything up to and including the last
    `\n\nAssistant:` before which the two transcripts are the same; what follows are the candidates. Where transcripts
    part before their last turn, the candidates therefore hold the turns that follow as well.

    A row is no comparison if its transcripts are equal, if one is blank, if nothing follows the prompt in one of them,
    or if they share no `\n\nAssistant:`. `rows` leaves such rows out and logs how many. Conversations that open with
    the same words of the human stay in one split, unless `group_by` says otherwise.

    Args:
        path (`str`, *optional*, defaults to `"Anthropic/hh-rlhf"`): Hub id, file or folder.
        data_dir (`str`, *optional*): Subset: `harmless-base`, `helpful-base`, `helpful-online` or
            `helpful-rejection-sampled`; by default all four.
        split (`str`, *optional*): `train` or `test`; by default `train`, and of a single file all rows.
        revision (`str`, *optional*): Branch, tag or commit of the hub dataset.
        format (`"text"` or `"conversational"`, *optional*, defaults to `"text"`): Leave transcripts as they are, or
            turn them into messages for a chat template.
        group_by (`str` or `dict`, *optional*, defaults to `"prompt"`): What stays in one split: conversations that open
            with the same words of the human, or, as in [`Preference`][w2s_rm.tasks.preference.Preference], `chosen`,
            `candidates`, `{first_words: n}`.
    """

    path: str = "Anthropic/hh-rlhf"
    data_dir: str | None = None
    split: str | None = None
    revision: str | None = None
    format: Literal["text", "conversational"] = "text"
    group_by: GroupBy = "prompt"

    setting: ClassVar[str] = "reward_modeling"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "chosen": "\n\nHuman: What do bees make?\n\nAssistant: They make honey.",
        "rejected": "\n\nHuman: What do bees make?\n\nAssistant: Noise.",
    }

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            OptionError: Unknown format or grouping.
        """
        check_group_by(self.group_by)
        if self.format not in ("text", "conversational"):
            raise OptionError("anthropic_hh", {"format": f"is {self.format!r}; write text or conversational"})

    @property
    def has_ground_truth(self) -> bool:
        """Every comparison has a better answer."""
        return True

    def content_version(self) -> str:
        """Return the hash of the files, or the hub id and revision."""
        folder = Path(resolve_path(self.path))
        if self.data_dir and folder.is_dir():
            # Of the subset alone: what changes in the others is no part of this data.
            return content_version(str(folder / self.data_dir))
        return content_version(self.path, revision=self.revision)

    def rows(self) -> Iterator[Row]:
        """Read the rows that are comparisons; how many are not is logged as a warning at the end.

        Raises:
            DataError: Unreadable, a column is missing, or all rows are left out.
        """
        is_file = Path(resolve_path(self.path)).is_file()
        split = self.split or (None if is_file else "train")
        rows = read_rows(self.path, split, revision=self.revision, data_dir=self.data_dir)
        return KeptRows(self.path, rows, _left_out)

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example, chosen before rejected.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: The row is no comparison; says where and why.
        """
        texts = _transcripts(row)
        reason = _why_unusable(*texts)
        if reason:
            raise DataError(f"{row.place}: {reason}; drop the row")
        cut = _common_turns(*texts)
        prompt, responses = texts[0][:cut], tuple(text[cut:] for text in texts)
        # The prompt ends with the mark of a turn in which nothing is said yet.
        opening = content_hash(_messages(prompt.removesuffix(_ASSISTANT))[:1])
        group = own_group(self.group_by, responses[0]) or opening
        try:
            if self.format == "text":
                return comparison(prompt, responses, 0, group=group)
            # Behind their mark again: without one a text is taken for the human's.
            candidates = tuple(_messages(_ASSISTANT + response) for response in responses)
            return comparison(_messages(prompt.removesuffix(_ASSISTANT)), candidates, 0, group=group)
        except DataError as error:
            raise DataError(f"{row.place}: {error}") from error

    def regroup(self, examples: list[Example]) -> list[Example]:
        """Join the groups of comparisons that share a response, if `group_by` says so."""
        return join_shared_candidates(examples) if self.group_by == "candidates" else examples


def _transcripts(row: Row) -> tuple[str, str]:
    require_columns(row, _COLUMNS)
    chosen, rejected = (parse_text(row.values[column], f"{row.place}: {column!r}") for column in _COLUMNS.values())
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        raise DataError(f"{row.place}: messages instead of transcripts; use the task preference with prompt_column: ''")
    return chosen, rejected


def _has_empty(row: Row) -> bool:
    require_columns(row, _COLUMNS)
    cells = [row.values[column] for column in _COLUMNS.values()]
    return any(is_null(cell) or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _common_turns(chosen: str, rejected: str) -> int:
    """Where the longest common beginning that ends in an assistant's mark ends; 0 if there is none."""
    # Marks of one transcript are enough: what both begin with has the same marks in both.
    ends = [turn.end() for turn in _TURN.finditer(chosen) if turn.group(1) == "Assistant"]
    return next((end for end in reversed(ends) if rejected.startswith(chosen[:end])), 0)


def _left_out(row: Row) -> str | None:
    # Looked at first: a null cannot be read as a transcript, and would be an error.
    return "with an empty transcript" if _has_empty(row) else _why_unusable(*_transcripts(row))


def _why_unusable(chosen: str, rejected: str) -> str | None:
    if chosen.strip() == rejected.strip():
        return "with equal transcripts"
    cut = _common_turns(chosen, rejected)
    if not cut:
        return r"that share no '\n\nAssistant:'"
    if not chosen[cut:].strip() or not rejected[cut:].strip():
        return "with an empty response"
    return None


def _messages(transcript: str) -> Messages:
    """Turns as messages; neighbours of one role become one message, because chat templates want roles to alternate."""
    # A pattern with a group splits into text, speaker, text, speaker, text …
    parts = _TURN.split(transcript)
    messages: list[dict[str, str]] = []
    # A transcript may begin without a mark: then the human speaks first.
    turns = [("Human", parts[0])] * bool(parts[0].strip()) + list(zip(parts[1::2], parts[2::2], strict=True))
    for speaker, said in turns:
        if messages and messages[-1]["role"] == _ROLES[speaker]:
            messages[-1]["content"] += "\n\n" + said.strip()
        else:
            messages.append({"role": _ROLES[speaker], "content": said.strip()})
    return tuple(messages)
