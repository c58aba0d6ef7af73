"""Stored hidden states in the place of frozen layers: checked once, then fed, and the layers compute nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.training.frozen_layers import FrozenLayers, fed_tokens, layers_of

ROWS = [
    {"id": "a", "prompt_ids": [5, 6, 7], "candidate_ids": [[8, 9], [10]]},
    {"id": "b", "prompt_ids": [11], "candidate_ids": [[8, 9, 4, 5], [10, 3]]},
]
LENGTHS = [5 + 4, 5 + 3]


@pytest.fixture
def model(tiny_model: Callable[..., str]) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(tiny_model(), dtype=torch.float32).eval()


@pytest.fixture
def batch() -> dict[str, Any]:
    return HEADS["reward"].collator(0, None)(ROWS)


@torch.no_grad()
def scores(model: Any, batch: dict[str, Any]) -> Tensor:
    found: Tensor = HEADS["reward"].score(model, batch)[0]
    return found


@torch.no_grad()
def states_after(model: Any, batch: dict[str, Any], layer: int) -> Tensor:
    """What the layer makes of the fed tokens, by transformers itself."""
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    states_RTD = model.base_model(**given, output_hidden_states=True).hidden_states[layer]
    return torch.cat([row[mask.bool()] for row, mask in zip(states_RTD, batch["attention_mask"], strict=True)])


def test_after_the_first_batch_what_is_stored_is_read_and_nothing_is_computed(
    model: Any, batch: dict[str, Any]
) -> None:
    whole, stored_ND = scores(model, batch), states_after(model, batch, 1)
    computed: list[int] = []
    layers_of(model)[0][0].self_attn.register_forward_hook(lambda *_: computed.append(1))
    asked: list[Sequence[str]] = []

    def states(ids: Sequence[str]) -> list[Tensor]:
        asked.append(ids)
        return list(stored_ND.split(LENGTHS))

    frozen = FrozenLayers(model, 1, states)
    for number in range(3):
        with frozen.feeding(batch):
            torch.testing.assert_close(scores(model, batch), whole)
        assert len(computed) == 1, f"batch {number}"
    assert asked == [["a", "b"]] * 3
    # Other states, other scores: it is they that are read.
    stored_ND = stored_ND.flip(0)
    with frozen.feeding(batch):
        assert not torch.allclose(scores(model, batch), whole)
    # What is scored outside goes through all layers.
    torch.testing.assert_close(scores(model, batch), whole)
    assert len(computed) == 2


def test_fed_tokens_are_listed_example_by_example() -> None:
    # Two rows of trees; the first holds the third and the first example, the second the second and padding.
    segments = torch.tensor([[3, 3, 1, 1, 1], [2, 2, 0, 0, 0]])
    assert fed_tokens({"segments": segments}).tolist() == [2, 3, 4, 5, 6, 0, 1]
    assert fed_tokens({"attention_mask": torch.tensor([[0, 1, 1], [1, 1, 0]])}).tolist() == [1, 2, 3, 4]


def test_other_states_than_the_layers_make_are_refused(model: Any, batch: dict[str, Any]) -> None:
    wrong_ND = states_after(model, batch, 1) * 1.1
    frozen = FrozenLayers(model, 1, lambda _: list(wrong_ND.split(LENGTHS)))
    other = "stored are other states: they differ by 10% of their size"
    with pytest.raises(ConfigError, match=other), frozen.feeding(batch):
        scores(model, batch)
    fewer = FrozenLayers(model, 1, lambda _: [wrong_ND[1:]])
    with pytest.raises(ConfigError, match="stored are 16 tokens, and these rows have 17"), fewer.feeding(batch):
        scores(model, batch)
