"""OpenBookQA (arXiv 1809.02789): elementary science, asked without the book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import Hub, label, one_of, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class Openbookqa(ChoiceTask):
    """Questions and beginnings of sentences with four answers, also from files with `question`, `choices` and `label`.

    Args:
        path (`str`, *optional*, defaults to `"allenai/openbookqa"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/openbookqa", "train+validation+test", config_name="main")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "question_stem": "A bee visits flowers to find",
        "choices": {"text": ["nectar", "stones", "snow", "salt"], "label": ["A", "B", "C", "D"]},
        "answerKey": "A",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers, names = answer_list(row, "choices")
        question = text(row, one_of(row, "question_stem", "question"))
        return Question(question, answers, label(row, one_of(row, "answerKey", "label"), names))
