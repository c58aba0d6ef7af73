"""PAWS (arXiv 1904.01130): do two sentences of nearly the same words mean the same?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class Paws(LabelTask):
    """Pairs of sentences; those whose first sentence has the same words in any order stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"google-research-datasets/paws"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("google-research-datasets/paws", "train+validation+test", config_name="labeled_final")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "sentence1": "The bee followed the wasp home.",
        "sentence2": "The wasp followed the bee home.",
        "label": 0,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        first, second = text(row, "sentence1"), text(row, "sentence2")
        # Pairs are made by exchanging words, so that a sentence comes back with the same words in another order.
        words = " ".join(sorted(first.lower().split()))
        return self.example(f"{first}\n{second}\nDo these mean the same?", label(row, "label"), group=words)
