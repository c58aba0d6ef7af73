"""QuaRTz (arXiv 1909.03553): which way does a quantity go, given a sentence of background?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Quartz(ChoiceTask):
    """Questions with two answers; those on the same background stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"allenai/quartz"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/quartz", "train+validation+test")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "para": "The warmer the hive, the more its bees fly.",
        "question": "If the hive cools, will its bees fly more or less?",
        "choices": {"text": ["more", "less"], "label": ["A", "B"]},
        "answerKey": "B",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers, names = answer_list(row, "choices")
        gold = label(row, "answerKey", names)
        return Question(text(row, "question"), answers, gold, context=text(row, "para"))
