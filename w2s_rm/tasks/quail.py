"""QuAIL (Rogers et al., AAAI 2020): questions on stories, news, blogs and fiction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Quail(ChoiceTask):
    """Questions with four answers; those on the same text stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"textmachinelab/quail"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("textmachinelab/quail", config_name="quail")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "context": "Ann opened the hive. It was empty, and she sat down in the grass.",
        "question": "How did Ann feel?",
        "answers": ["disappointed", "amused", "proud", "not enough information"],
        "correct_answer_id": 0,
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers, names = answer_list(row, "answers")
        gold = label(row, "correct_answer_id", names)
        return Question(text(row, "question"), answers, gold, context=text(row, "context"))
