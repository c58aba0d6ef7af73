"""A model that reads texts, of a frozen one and a linear model on its hidden states."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from w2s_rm.features.hidden_states import cut
from w2s_rm.features.linear_model import LinearModel
from w2s_rm.features.options import parse_column, pooling_of_rows
from w2s_rm.heads.attention import output_layer
from w2s_rm.heads.pooled import LAST, PooledConfig, PooledForSequenceClassification
from w2s_rm.heads.scores import set_padding


@dataclass(frozen=True)
class Assembled:
    """A model for sequence classification, and what it computes.

    Args:
        model (`PreTrainedModel`): The class of its architecture where that reads the same, with no intercept; otherwise
            a [`~w2s_rm.heads.pooled.PooledForSequenceClassification`].
        linear ([`~w2s_rm.features.linear_model.LinearModel`]): Whose scores it gives.
    """

    model: PreTrainedModel
    linear: LinearModel


def assemble(model: PreTrainedModel, linear: LinearModel, pad_token_id: int, *, every_token: bool = False) -> Assembled:
    """Put a linear model on top of the model whose hidden states it was fitted to.

    Args:
        model (`PreTrainedModel`): For classification of sequences or tokens, with as many outputs as the linear model
            has; its own head is of no account. Changed in place.
        linear ([`~w2s_rm.features.linear_model.LinearModel`]): On the hidden states of one of its layers.
        pad_token_id (`int`): What rows are padded with.
        every_token (`bool`, *optional*, defaults to `False`): Whether the model classifies tokens: its last layer is
            then the linear model, whatever row it is read in.

    Raises:
        ConfigError: Its features are not those of a row of tokens.
    """
    layer, pooling = parse_column(linear.column)
    rows = pooling_of_rows(pooling, classes=linear.classes)
    cut(model, layer)
    score: Any = output_layer(model) if every_token else _plain_head(model)
    if not every_token and rows == LAST and not linear.classes and score is not None:
        # One number for all rewards, which no comparison sees; these heads have no place for it.
        linear = dataclasses.replace(linear, bias_O=torch.zeros_like(linear.bias_O))
    elif not every_token:
        model = _pooled(model, rows)
        score = model.score
    with torch.no_grad():
        score.weight.copy_(linear.weights_OD)
        if score.bias is not None:
            score.bias.copy_(linear.bias_O)
    set_padding(model, pad_token_id)
    return Assembled(model, linear)


def _plain_head(model: PreTrainedModel) -> Any:
    """The head of a decoder: a linear function of the state at a row's last token; `None` where there is another."""
    head = dict(model.named_children()).get("score")
    return head if isinstance(head, nn.Linear) and head.bias is None else None


def _pooled(model: PreTrainedModel, pooling: str) -> Any:
    # What the model says of its outputs and its precision; all else is the base model's, and in its configuration.
    names = ("num_labels", "id2label", "label2id", "dtype")
    values = {name: getattr(model.config, name) for name in names}
    base: Any = model.base_model
    made = PooledForSequenceClassification(PooledConfig(copy.deepcopy(base.config), pooling, **values))
    # `PooledForSequenceClassification` has no pooler; all other weights must be there, or the load below fails.
    states = {name: value for name, value in base.state_dict().items() if not name.startswith("pooler.")}
    made.model.load_state_dict(states)
    return made.eval()
