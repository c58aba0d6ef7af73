"""Encoded examples to padded tensors, one collator for each head's rows.

Shape suffixes: B examples, K candidates, R rows fed to the model, T tokens, M tokens of all candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from w2s_rm.heads.encoding import first_alike

Examples = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class PaddedCollator:
    """Collate rows with `prompt_ids`, `candidate_ids` and optionally `targets`, `id`, `weight`, `margin`.

    Returns `input_ids` and `attention_mask` of shape `(R, T)`, padded on the right; rows are ordered by example, then
    by candidate. `mask` and `targets` have shape `(B, K)`, `weights` `(B,)`: 0 marks a filler that evens out ranks.
    Rows without `targets`, which are only to be scored, have none in their batch.

    Args:
        pad_token_id (`int`): Token to pad with; hidden by the attention mask.
        pad_to_multiple_of (`int`, *optional*): Round T up to a multiple of this.
    """

    pad_token_id: int
    pad_to_multiple_of: int | None = None

    def __call__(self, examples: Examples) -> dict[str, Any]:
        """Collate one batch."""
        # The order of rows is that of the real places of `mask`, row by row: `scatter` puts what the model says of row
        # r into the r-th of them.
        rows = [example["prompt_ids"] + ids for example in examples for ids in example["candidate_ids"]]
        return {**pad_rows(rows, self.pad_token_id, self.pad_to_multiple_of), **labels(examples)}


@dataclass(frozen=True)
class PromptCollator:
    """Collate prompts alone, for heads with a logit for each class; otherwise as [`PaddedCollator`].

    Args:
        pad_token_id (`int`): Token to pad with; hidden by the attention mask.
        pad_to_multiple_of (`int`, *optional*): Round T up to a multiple of this.
    """

    pad_token_id: int
    pad_to_multiple_of: int | None = None

    def __call__(self, examples: Examples) -> dict[str, Any]:
        """Collate one batch."""
        rows = [example["prompt_ids"] for example in examples]
        return {**pad_rows(rows, self.pad_token_id, self.pad_to_multiple_of), **labels(examples)}


@dataclass(frozen=True)
class PrefixCollator:
    """Collate each prompt with the candidates' tokens but the last, once where candidates begin alike.

    Padded on the left. Besides what [`PaddedCollator`] returns: `kept`, the number of positions at the rows' end whose
    logits are needed, and for each token of each candidate, in flat order, `token_places` (flat positions in what is
    kept of the rows), `token_ids` and `token_candidates`, all of shape `(M,)`.

    Args:
        pad_token_id (`int`): Token to pad with; hidden by the attention mask.
        pad_to_multiple_of (`int`, *optional*): Round T up to a multiple of this.
    """

    pad_token_id: int
    pad_to_multiple_of: int | None = None

    def __call__(self, examples: Examples) -> dict[str, Any]:
        """Collate one batch."""
        rows: list[list[int]] = []
        fed_lengths: list[int] = []
        tokens: list[tuple[int, int, int, int]] = []
        candidate = 0
        for example in examples:
            # A candidate's last token is predicted, and predicts nothing that counts.
            fed = [tuple(ids[:-1]) for ids in example["candidate_ids"]]
            row_of, distinct = share_prefixes(fed)
            for ids in example["candidate_ids"]:
                # The rows of this example are appended below; until then `len(rows)` is the number of its first one.
                row = len(rows) + row_of[tuple(ids[:-1])]
                tokens.extend((row, offset, token, candidate) for offset, token in enumerate(ids))
                candidate += 1
            rows.extend(example["prompt_ids"] + list(prefix) for prefix in distinct)
            fed_lengths.extend(map(len, distinct))
        # The last token of the prompt predicts as well as all that follow it.
        kept = 1 + max(fed_lengths)
        # `place_M` is the token's place in its candidate, from 0.
        row_M, place_M, token_M, candidate_M = torch.tensor(tokens).T
        return {
            **pad_rows(rows, self.pad_token_id, self.pad_to_multiple_of, left=True),
            **labels(examples),
            "kept": torch.tensor(kept),
            # A row ends with its fed tokens; its first candidate token is predicted one place before them.
            "token_places": row_M * kept + kept - 1 - torch.tensor(fed_lengths)[row_M] + place_M,
            "token_ids": token_M,
            "token_candidates": candidate_M,
        }


def share_prefixes(fed: Sequence[tuple[int, ...]]) -> tuple[dict[tuple[int, ...], int], list[tuple[int, ...]]]:
    """Find the sequences that begin no other, and which of them each one begins.

    Args:
        fed (`Sequence[tuple[int, ...]]`): Token sequences.

    Returns:
        For each sequence the index of the one to feed in its place, and these.
    """
    kept: list[tuple[int, ...]] = []
    index_of: dict[tuple[int, ...], int] = {}
    # Sorted backwards, whatever a sequence begins comes right before it.
    for sequence in sorted(set(fed), reverse=True):
        if not kept or kept[-1][: len(sequence)] != sequence:
            kept.append(sequence)
        index_of[sequence] = len(kept) - 1
    return index_of, kept


def labels(examples: Examples) -> dict[str, Any]:
    """Return what is the same in every layout: `mask`, `weights`, `ids`, and where rows have them `targets`, `margins`.

    Where an example has candidates of the same tokens there is also `alike`, of shape `(B, K)`: for each candidate the
    index of the first one that has its tokens.

    Args:
        examples (`Sequence[Mapping]`): Rows of a batch.
    """
    counts = [len(example["candidate_ids"]) for example in examples]
    # Examples may have different numbers of candidates; the real ones come first.
    mask_BK = torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]
    return {
        "mask": mask_BK,
        **_targets(examples, mask_BK),
        **_margins(examples),
        "weights": torch.tensor([example.get("weight", 1.0) for example in examples]),
        # For messages alone.
        "ids": [str(example.get("id", "?")) for example in examples],
        **_alike(examples, mask_BK.shape[1]),
    }


def _targets(examples: Examples, mask_BK: Tensor) -> dict[str, Tensor]:
    if "targets" not in examples[0]:
        return {}
    targets_BK = torch.zeros(mask_BK.shape)
    # A mask reads out and fills in row by row, so the flat list needs no places.
    targets_BK[mask_BK] = torch.tensor([p for example in examples for p in example["targets"]], dtype=torch.float)
    return {"targets": targets_BK}


def _margins(examples: Examples) -> dict[str, Tensor]:
    if "margin" not in examples[0]:
        return {}
    return {"margins": torch.tensor([float(example["margin"]) for example in examples])}


def _alike(examples: Examples, width: int) -> dict[str, Tensor]:
    """Nothing, as nearly always, where all candidates differ."""
    # Padding stands for itself.
    positions = list(range(width))
    first_BK = [
        first_alike(example["candidate_ids"]) + positions[len(example["candidate_ids"]) :] for example in examples
    ]
    return {"alike": torch.tensor(first_BK)} if any(first_K != positions for first_K in first_BK) else {}


def pad_rows(
    rows: list[list[int]], pad_token_id: int, multiple: int | None, *, left: bool = False
) -> dict[str, Tensor]:
    """Pad rows of tokens to `input_ids` and `attention_mask` of shape `(R, T)`.

    Args:
        rows (`list[list[int]]`): Tokens.
        pad_token_id (`int`): Token to pad with.
        multiple (`int`, *optional*): Round T up to a multiple of this.
        left (`bool`, *optional*, defaults to `False`): Pad on the left.
    """
    length = max(map(len, rows))
    if multiple is not None:
        # Rounds up: `//` rounds down, and so up between two minus signs.
        length = -(-length // multiple) * multiple
    lengths_R = torch.tensor([len(row) for row in rows])
    if left:
        padded = [[pad_token_id] * (length - len(row)) + row for row in rows]
        mask_RT = torch.arange(length)[None, :] >= length - lengths_R[:, None]
    else:
        padded = [row + [pad_token_id] * (length - len(row)) for row in rows]
        mask_RT = torch.arange(length)[None, :] < lengths_R[:, None]
    # By length and not by token: where the eos token pads, the one that ends a candidate must stay visible.
    return {"input_ids": torch.tensor(padded), "attention_mask": mask_RT.long()}
