"""MC-TACO (arXiv 1909.03065): is an answer to a question on time plausible?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import CONVERTED, Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class McTaco(LabelTask):
    """Questions on duration, order and frequency, each answer a row; those on the same sentence stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"CogComp/mc_taco"`): Hub id, file or folder.
    """

    # It has no train split.
    hub: ClassVar[Hub] = Hub("CogComp/mc_taco", "validation+test", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "sentence": "Ann boiled an egg for breakfast.",
        "question": "How long did it take?",
        "answer": "three days",
        "label": 0,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        sentence = text(row, "sentence")
        asked = f"Question: {text(row, 'question')}\nAnswer: {text(row, 'answer')}"
        prompt = f"{sentence}\n{asked}\nIs this answer plausible?"
        return self.example(prompt, label(row, "label"), group=sentence)
