"""DREAM (arXiv 1902.00164): questions on dialogues from English exams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.errors import DataError
from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import CONVERTED, Hub, checked_text, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Dream(ChoiceTask):
    """Questions with three answers; those on the same dialogue stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"dataset-org/dream"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("dataset-org/dream", "train+validation+test", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "dialogue": ["M: Where is the honey?", "W: I put it on the shelf."],
        "question": "Where is the honey?",
        "choice": ["On the table.", "On the shelf.", "In the hive."],
        "answer": "On the shelf.",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers, _ = answer_list(row, "choice")
        # Turns are no answers, but a list of texts as these are.
        turns, _ = answer_list(row, "dialogue")
        context = checked_text(row, "\n".join(turns), "'dialogue'")
        right = text(row, "answer")
        if right not in answers:
            raise DataError(f"{row.place}: 'answer' {right!r} is none of 'choice'; mend or drop the row")
        return Question(text(row, "question"), answers, answers.index(right), context=context)
