"""HellaSwag (arXiv 1905.07830): how does a scene go on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Hellaswag(ChoiceTask):
    """Beginnings with four endings; those from the same source stay in one split where the column `source_id` names it.

    Args:
        path (`str`, *optional*, defaults to `"Rowan/hellaswag"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("Rowan/hellaswag")
    path: str = hub.id
    question_wording: ClassVar[str] = "Is this the right ending?"
    example_row: ClassVar[Mapping[str, Any]] = {
        "ctx": "A woman opens a hive. She",
        "endings": ["lifts out a comb.", "sails away.", "reads the hive aloud.", "paints the sea."],
        "label": "0",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers, names = answer_list(row, "endings")
        source = str(row.values.get("source_id") or "")
        return Question(text(row, "ctx"), answers, label(row, "label", names), continues=True, group=source)
