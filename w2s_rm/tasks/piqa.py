"""PIQA (arXiv 1911.11641): which of two ways reaches a practical goal?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, column_answers
from w2s_rm.tasks._source import CONVERTED, Hub, label, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Piqa(ChoiceTask):
    """Goals with two solutions; those with the same goal stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"ybisk/piqa"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("ybisk/piqa", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "goal": "To calm a hive of bees,",
        "sol1": "blow some smoke into it.",
        "sol2": "blow some flour into it.",
        "label": 0,
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        solutions = column_answers(row, ("sol1", "sol2"))
        return Question(text(row, "goal"), solutions, label(row, "label"))
