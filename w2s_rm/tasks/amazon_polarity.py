"""Amazon polarity (arXiv 1509.01626): is a product review positive?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._comparison import is_null
from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, cell, label, text
from w2s_rm.types import Example, Row


@dataclass(frozen=True)
class AmazonPolarity(LabelTask):
    """Reviews with title and content, positive or negative; by default the 400,000 of the hub's test split.

    Args:
        path (`str`, *optional*, defaults to `"fancyzhx/amazon_polarity"`): Hub id, file or folder.
    """

    # The train split has 3,600,000 more, all of which would have to be read before splits are drawn.
    hub: ClassVar[Hub] = Hub("fancyzhx/amazon_polarity", "test")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {
        "title": "Sweet",
        "content": "The best honey I have had in years.",
        "label": 1,
    }

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        content = text(row, "content")
        # A review may go without a title.
        title = "" if is_null(cell(row, "title")) else str(cell(row, "title")).strip()
        prompt = f"{title}\n{content}\nIs this review positive?".lstrip()
        return self.example(prompt, label(row, "label"), group=content)
