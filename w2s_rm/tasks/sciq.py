"""SciQ (arXiv 1707.06209): science exam questions, without the text that supports the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, column_answers
from w2s_rm.tasks._source import Hub, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Sciq(ChoiceTask):
    """Questions with one right answer and three distractors, each in a column of its own.

    Args:
        path (`str`, *optional*, defaults to `"allenai/sciq"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/sciq", "train+validation+test")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "question": "What do bees collect from flowers?",
        "correct_answer": "nectar",
        "distractor1": "sap",
        "distractor2": "resin",
        "distractor3": "dew",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers = column_answers(row, ("correct_answer", "distractor1", "distractor2", "distractor3"))
        # First here; candidates are put into hashed order before a model sees them.
        return Question(text(row, "question"), answers, 0)
