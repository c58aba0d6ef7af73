"""A model that reads the mean of a row or its last token, with an intercept, and how it may be fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModel

from w2s_rm.heads import HEADS
from w2s_rm.heads.pooled import PooledConfig, PooledForSequenceClassification
from w2s_rm.training.layout_probe import why_not_shared

ROWS = torch.tensor([[5, 6, 7, 8], [9, 4, 0, 0], [0, 0, 0, 0]])


@pytest.fixture
def pooled(tiny_model: Callable[..., str]) -> Callable[..., Any]:
    def make(architecture: str, pooling: str, outputs: int = 1) -> Any:
        base = AutoModel.from_pretrained(tiny_model(architecture)).eval()
        config = PooledConfig(base.config, pooling, num_labels=outputs, pad_token_id=0)
        model = PooledForSequenceClassification(config).eval()
        model.model.load_state_dict(base.state_dict(), strict=architecture != "bert")  # type: ignore[arg-type]
        model.score.weight.data.normal_()
        model.score.bias.data.fill_(3.0)
        return model

    return make


@pytest.mark.parametrize("architecture", ["llama", "bert"])
@torch.no_grad()
def test_what_is_read_of_a_row(architecture: str, pooled: Callable[..., Any]) -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
    mean, last = (pooled(architecture, pooling, 2) for pooling in ("mean", "last"))
    last.load_state_dict(mean.state_dict())
    states = mean.model(input_ids=ROWS, attention_mask=mask).last_hidden_state
    expected = torch.stack([mean.score(states[0].mean(0)), mean.score(states[1, :3].mean(0))])
    torch.testing.assert_close(mean(input_ids=ROWS, attention_mask=mask).logits[:2], expected)
    # At the last token that is no padding, whatever the mask says; of nothing but padding at the first.
    expected = torch.stack([last.score(states[row, place]) for row, place in ((0, 3), (1, 1), (2, 0))])
    torch.testing.assert_close(last(input_ids=ROWS, attention_mask=mask).logits, expected)
    whole = mean.score(mean.model(input_ids=ROWS).last_hidden_state.mean(dim=1))
    torch.testing.assert_close(mean(input_ids=ROWS).logits, whole)


@pytest.mark.parametrize(
    ("architecture", "pooling", "reason"),
    [
        ("llama", "mean", "PooledForSequenceClassification reads all tokens of a row"),
        ("bert", "last", "PooledForSequenceClassification reads in both directions"),
        ("llama", "last", None),
    ],
)
@pytest.mark.parametrize("head", ["reward", "classification"])
def test_prefixes_are_shared_where_the_last_token_of_a_decoder_is_read(
    head: str, architecture: str, pooling: str, reason: str | None, pooled: Callable[..., Any]
) -> None:
    model = pooled(architecture, pooling, 1 if head == "reward" else 3)
    found = why_not_shared(HEADS[head], model, 64, torch.device("cpu"))
    assert found is None if reason is None else str(found).startswith(reason)
