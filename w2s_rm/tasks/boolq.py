"""BoolQ (arXiv 1905.10044): questions that people typed, answered yes or no, with or without a passage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Boolq(LabelTask):
    """Yes/no questions; those on the same passage stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"google/boolq"`): Hub id, file or folder. Without a column `passage` the
            questions are asked closed-book.
        closed_book (`bool`, *optional*, defaults to `False`): Leave the passage out of the prompt.
    """

    hub: ClassVar[Hub] = Hub("google/boolq")
    path: str = hub.id
    closed_book: bool = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "question": "do bees make honey",
        "passage": "Bees collect nectar and turn it into honey, which they keep in combs of wax.",
        "answer": True,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        # The hub's questions come without a question mark, other files' perhaps with one.
        question = text(row, "question").rstrip("? ")
        passage = text(row, "passage") if "passage" in row.values else ""
        shown = "" if self.closed_book else passage
        prompt = f"{shown}\nQuestion: {question}?\nAnswer:".lstrip()
        return self.example(prompt, label(row, "answer"), group=passage or question)
