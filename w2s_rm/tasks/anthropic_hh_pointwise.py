"""Anthropic's comparisons (arXiv 2204.05862) one transcript at a time: is it the one that was preferred?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from w2s_rm.data.examples import content_id
from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, UnusableRowError, text
from w2s_rm.types import Example, Row, content_hash


@dataclass(frozen=True)
class AnthropicHhPointwise(LabelTask):
    """One transcript of each pair, chosen by hash; those that open with the same words stay in one split.

    Args:
        path (`str`, *optional*, defaults to `"Anthropic/hh-rlhf"`): Hub id, file or folder.
        data_dir (`str`, *optional*): Subset: `harmless-base`, `helpful-base`, `helpful-online` or
            `helpful-rejection-sampled`; by default all four.
    """

    hub: ClassVar[Hub] = Hub("Anthropic/hh-rlhf", "train+test")
    path: str = hub.id
    data_dir: str | None = None
    example_row: ClassVar[Mapping[str, Any]] = {
        "chosen": "\n\nHuman: What do bees make?\n\nAssistant: They make honey.",
        "rejected": "\n\nHuman: What do bees make?\n\nAssistant: Noise.",
    }

    @property
    def place(self) -> Hub:
        """Where the rows are, with the subset."""
        return replace(super().place, data_dir=self.data_dir)

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        chosen, rejected = text(row, "chosen"), text(row, "rejected")
        if chosen == rejected:
            raise UnusableRowError(f"{row.place}: the two transcripts are equal; drop the row", "(equal transcripts)")
        pair = content_id("", (chosen, rejected))
        # By a hash that does not know which one is preferred, so that each is shown for about half of the pairs.
        shown = min(chosen, rejected, key=lambda transcript: content_hash("shown", pair, transcript))
        prompt = f"{shown}\n\nIs this the better of two responses?"
        # Of both, so that the group does not tell which one is shown or preferred.
        opening = min(transcript.partition("\n\nAssistant:")[0] for transcript in (chosen, rejected))
        return self.example(prompt, int(shown == chosen), group=opening)
