"""CosmosQA (arXiv 1909.00277): causes and effects that a story leaves unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._choices import ChoiceTask, Question, column_answers
from w2s_rm.tasks._source import CONVERTED, Hub, label, label_key, text
from w2s_rm.types import Row

_COLUMNS = ("answer0", "answer1", "answer2", "answer3")


@dataclass(frozen=True)
class CosmosQa(ChoiceTask):
    """Questions with four answers; those on the same story stay in one split.

    `None of the above` means nothing when one answer is shown alone: the binary form never shows it, and leaves out the
    questions it answers.

    Args:
        path (`str`, *optional*, defaults to `"allenai/cosmos_qa"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("allenai/cosmos_qa", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "context": "I opened the hive and closed it again at once.",
        "question": "Why did I close it?",
        "answer0": "The bees were angry.",
        "answer1": "It was full of gold.",
        "answer2": "I wanted to swim.",
        "answer3": "None of the above choices .",
        "label": 0,
    }

    def question(self, row: Row) -> Question:
        """Read one record; see [`ChoiceTask`]."""
        answers = column_answers(row, _COLUMNS)
        gold = label(row, "label", {str(k): k for k in range(len(answers))})
        if self.form == "binary" and not _is_none(answers[gold]):
            # By its text, for its place changes when an answer before it falls away.
            right = answers[gold]
            answers = tuple(answer for answer in answers if not _is_none(answer))
            gold = answers.index(right)
        return Question(text(row, "question"), answers, gold, context=text(row, "context"))

    def left_out(self, row: Row) -> str | None:
        """Leave out, in the binary form, questions whose right answer is none of the others.

        Args:
            row (`Row`): One record.
        """
        # Looked at before the row is read: a broken one is reported where it is read.
        right = row.values.get(f"answer{label_key(row.values.get('label'))}")
        if self.form == "binary" and isinstance(right, str) and _is_none(right):
            return "(the right answer is none of the above)"
        return super().left_out(row)


def _is_none(answer: str) -> bool:
    return answer.lower().startswith("none of the above choices")
