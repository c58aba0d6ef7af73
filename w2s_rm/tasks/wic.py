"""WiC, in SuperGLUE (arXiv 1905.00537): has a word the same meaning in two sentences?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Wic(LabelTask):
    """Pairs of sentences with a word in common; those on the same word stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"aps/super_glue"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("aps/super_glue", config_name="wic")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "word": "bank",
        "sentence1": "We sat on the bank of the river.",
        "sentence2": "The bank lent us money.",
        "label": 0,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        word = text(row, "word")
        sentences = f"{text(row, 'sentence1')}\n{text(row, 'sentence2')}"
        prompt = f"{sentences}\nDoes {word} mean the same in both?"
        return self.example(prompt, label(row, "label"), group=word.lower())
