"""ANLI, round 2 (arXiv 1910.14599): does a hypothesis follow from a premise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, text
from w2s_rm.types import Example, Row

# The dataset's numbers are 0 for entailment, 1 for neutral, 2 for contradiction.
_ENTAILS = {"0": 1, "1": 0, "2": 0, "entailment": 1, "neutral": 0, "contradiction": 0}


@dataclass(frozen=True)
class AnliR2(LabelTask):
    """Premises with a hypothesis; its three labels become two: entailment is yes, neutral and contradiction are no.

    Args:
        path (`str`, *optional*, defaults to `"facebook/anli"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("facebook/anli", "train_r2+dev_r2+test_r2")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "premise": "Ann keeps bees behind her house and sells their honey.",
        "hypothesis": "Ann has an income from honey.",
        "label": 0,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        premise = text(row, "premise")
        prompt = f"{premise}\n{text(row, 'hypothesis')}\nDoes the second text follow from the first?"
        return self.example(prompt, label(row, "label", _ENTAILS), group=premise)
