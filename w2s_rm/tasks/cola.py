"""CoLA (arXiv 1805.12471): is a sentence grammatical?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Cola(LabelTask):
    """Sentences from the linguistic literature, acceptable or not.

    Args:
        path (`str`, *optional*, defaults to `"nyu-mll/glue"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("nyu-mll/glue", config_name="cola")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {"sentence": "Bees that the honey makes.", "label": 0}

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        sentence = text(row, "sentence")
        return self.example(f"{sentence}\nIs this sentence grammatical?", label(row, "label"), group=sentence)
