"""MultiRC, in SuperGLUE (arXiv 1905.00537): is an answer to a question on a paragraph right?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Multirc(LabelTask):
    """Questions with several right and wrong answers, each a row; those on the same paragraph stay in one split.

    Rows with a blank paragraph, question or answer are left out: the train split on the hub has three such answers.

    Args:
        path (`str`, *optional*, defaults to `"aps/super_glue"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("aps/super_glue", config_name="multirc")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "paragraph": "Bees live in a hive. They make honey and wax.",
        "question": "What do bees make?",
        "answer": "Wax",
        "label": 1,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        paragraph = text(row, "paragraph")
        asked = f"Question: {text(row, 'question')}\nAnswer: {text(row, 'answer')}"
        prompt = f"{paragraph}\n{asked}\nIs this answer right?"
        return self.example(prompt, label(row, "label"), group=paragraph)
