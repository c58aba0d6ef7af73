"""ARC, the easy set (arXiv 1803.05457): science questions from school tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, answer_list
from w2s_rm.tasks._source import Hub, label, one_of, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class ArcEasy(ChoiceTask):
    """Science questions with three to five answers, also from files with `choices` as a list and `label` as its index.

    Args:
        path (`str`, *optional*, defaults to `"allenai/ai2_arc"`): Hub id, file or folder.
        form (`str`, *optional*, defaults to `"choice"`): `choice`, the answers as candidates, or `binary`.
    """

    hub: ClassVar[Hub] = Hub("allenai/ai2_arc", "train+validation+test", config_name="ARC-Easy")
    path: str = hub.id
    form: str = "choice"
    example_row: ClassVar[Mapping[str, Any]] = {
        "question": "Which of these do bees make?",
        "choices": {"text": ["honey", "milk", "silk", "salt"], "label": ["A", "B", "C", "D"]},
        "answerKey": "A",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        # By the names that the row itself gives: some questions have their answers under 1 to 4, the others under A to
        # E.
        answers, names = answer_list(row, "choices")
        return Question(text(row, "question"), answers, label(row, one_of(row, "answerKey", "label"), names))
