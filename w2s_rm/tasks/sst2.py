"""SST-2, in GLUE (arXiv 1804.07461): is a phrase from a film review positive?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Sst2(LabelTask):
    """Phrases from film reviews, positive or negative.

    Args:
        path (`str`, *optional*, defaults to `"nyu-mll/glue"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("nyu-mll/glue", config_name="sst2")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {"sentence": "a warm and funny film about bees", "label": 1}

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        sentence = text(row, "sentence")
        return self.example(f"{sentence}\nIs this review positive?", label(row, "label"), group=sentence)
