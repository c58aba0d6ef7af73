"""Social IQa (arXiv 1904.09728): what do people want, feel and do next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, column_answers
from w2s_rm.tasks._source import CONVERTED, Hub, label, text
from w2s_rm.types import Row


@dataclass(frozen=True)
class SocialIQa(ChoiceTask):
    """Questions with three answers; those on the same situation stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"allenai/social_i_qa"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/social_i_qa", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "context": "Ann gave Ben a jar of honey.",
        "question": "What will Ben want to do next?",
        "answerA": "thank Ann",
        "answerB": "sell the jar",
        "answerC": "hide from Ann",
        "label": "1",
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers = column_answers(row, ("answerA", "answerB", "answerC"))
        # The hub counts answers from 1, as text.
        gold = label(row, "label", {"1": 0, "2": 1, "3": 2})
        return Question(text(row, "question"), answers, gold, context=text(row, "context"))
