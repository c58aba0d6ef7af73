"""Encoded examples to padded tensors, with the tensors written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from w2s_rm.data.collation import PaddedCollator

PAIR: dict[str, Any] = {"id": "p", "prompt_ids": [5, 6], "candidate_ids": [[7], [8, 9]], "targets": [0.75, 0.25]}
TRIPLE: dict[str, Any] = {"prompt_ids": [4], "candidate_ids": [[1], [2], [3, 3]], "targets": [0.0, 1.0, 0.0]}


def test_each_candidate_is_a_row_after_its_prompt() -> None:
    batch = PaddedCollator(pad_token_id=0)([PAIR, TRIPLE])
    rows = [[5, 6, 7, 0], [5, 6, 8, 9], [4, 1, 0, 0], [4, 2, 0, 0], [4, 3, 3, 0]]
    seen = [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch["input_ids"].tolist() == rows
    assert batch["attention_mask"].tolist() == seen
    assert batch["mask"].tolist() == [[True, True, False], [True, True, True]]
    assert batch["targets"].tolist() == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]
    assert batch["weights"].tolist() == [1.0, 1.0]
    assert batch["ids"] == ["p", "?"]
    assert "margins" not in batch


def test_the_model_can_take_the_tensors() -> None:
    batch = PaddedCollator(pad_token_id=0)([PAIR, TRIPLE])
    names = ("input_ids", "attention_mask", "mask", "targets", "weights")
    types = [torch.int64, torch.int64, torch.bool, torch.float32, torch.float32]
    assert [batch[name].dtype for name in names] == types


def test_a_pad_token_in_the_text_is_not_hidden() -> None:
    example = {"prompt_ids": [0, 5], "candidate_ids": [[0], [6, 0]], "targets": [1.0, 0.0]}
    batch = PaddedCollator(pad_token_id=0)([example])
    assert batch["input_ids"].tolist() == [[0, 5, 0, 0], [0, 5, 6, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize(("multiple", "length"), [(1, 4), (4, 4), (8, 8), (3, 6)])
def test_length_is_rounded_up(multiple: int, length: int) -> None:
    batch = PaddedCollator(pad_token_id=0, pad_to_multiple_of=multiple)([PAIR])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, length)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 4]


def test_weights_and_margins_of_the_examples_are_kept() -> None:
    filler = {**PAIR, "weight": 0.0, "margin": 2}
    batch = PaddedCollator(pad_token_id=0)([{**PAIR, "weight": 1.0, "margin": 0.5}, filler])
    assert batch["weights"].tolist() == [1.0, 0.0]
    assert batch["margins"].tolist() == [0.5, 2.0]
