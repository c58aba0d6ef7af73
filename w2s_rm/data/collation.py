"""Encoded examples to padded tensors: each candidate its own row. Works for any architecture.

Shape suffixes: B examples, K candidates, R rows (one for each real candidate), T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PaddedCollator:
    """Collate rows with `prompt_ids`, `candidate_ids`, `targets` and optionally `id`, `weight`, `margin`.

    Returns `input_ids` and `attention_mask` of shape `(R, T)`, padded on the right; rows are ordered by example, then
    by candidate. `mask` and `targets` have shape `(B, K)`, `weights` `(B,)`: 0 marks a filler that evens out ranks.

    Args:
        pad_token_id (`int`): Token to pad with; hidden by the attention mask.
        pad_to_multiple_of (`int`, *optional*): Round T up to a multiple of this.
    """

    pad_token_id: int
    pad_to_multiple_of: int | None = None

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate one batch."""
        rows = [example["prompt_ids"] + ids for example in examples for ids in example["candidate_ids"]]
        input_ids_RT, attention_mask_RT = self._pad(rows)
        counts = [len(example["candidate_ids"]) for example in examples]
        mask_BK = torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]
        targets_BK = torch.zeros(mask_BK.shape)
        targets_BK[mask_BK] = torch.tensor([p for example in examples for p in example["targets"]], dtype=torch.float)
        batch: dict[str, Any] = {
            "input_ids": input_ids_RT,
            "attention_mask": attention_mask_RT,
            "mask": mask_BK,
            "targets": targets_BK,
            "weights": torch.tensor([example.get("weight", 1.0) for example in examples]),
            "ids": [str(example.get("id", "?")) for example in examples],
        }
        if "margin" in examples[0]:
            batch["margins"] = torch.tensor([float(example["margin"]) for example in examples])
        return batch

    def _pad(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        length = max(map(len, rows))
        if self.pad_to_multiple_of is not None:
            length = -(-length // self.pad_to_multiple_of) * self.pad_to_multiple_of
        input_ids = torch.tensor([row + [self.pad_token_id] * (length - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return input_ids, (torch.arange(length)[None, :] < lengths[:, None]).long()
