"""SciQ (arXiv 1707.06209): science exam questions after the text that supports the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, column_answers
from w2s_rm.tasks._source import Hub, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class SciqWithSupport(ChoiceTask):
    """Questions with four answers; those on the same text stay in one split. `rows` leaves out those without a text.

    Args:
        path (`str`, *optional*, defaults to `"allenai/sciq"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/sciq", "train+validation+test")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "support": "Bees carry a sweet juice home from flowers and turn it into honey.",
        "question": "What do bees collect from flowers?",
        "correct_answer": "nectar",
        "distractor1": "sap",
        "distractor2": "resin",
        "distractor3": "dew",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers = column_answers(row, ("correct_answer", "distractor1", "distractor2", "distractor3"))
        # Some questions have a blank support, which `text` refuses as a row that is of no use.
        return Question(text(row, "question"), answers, 0, context=text(row, "support"))
