"""ETHICS, virtue (arXiv 2008.02275): does a character trait show in a scene?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.errors import DataError
from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import CONVERTED, Hub, checked_text, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class EthicsVirtue(LabelTask):
    """Scenes with a trait after the mark `[SEP]`; those on the same scene stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"hendrycks/ethics"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("hendrycks/ethics", "train+validation+test", data_dir="virtue", revision=CONVERTED)
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "scenario": "Ann gave her lunch to a stranger. [SEP] generous",
        "label": 1,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        scene, mark, trait = (part.strip() for part in text(row, "scenario").partition("[SEP]"))
        if not mark:
            raise DataError(f"{row.place}: 'scenario' is not a scene, [SEP] and a trait; mend or drop the row")
        # Either side of the mark may be blank, which a cell that is not would hide.
        scene, trait = checked_text(row, scene, "scene"), checked_text(row, trait, "trait")
        return self.example(f"{scene}\nDoes this show the trait {trait}?", label(row, "label"), group=scene)
