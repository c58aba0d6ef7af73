"""A student held near the representations that its model had before training.

Shape suffixes: B examples, M hidden states that are read, in one flat row, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers.integrations import is_deepspeed_zero3_enabled

from w2s_rm.errors import ConfigError
from w2s_rm.heads import Head
from w2s_rm.heads.scores import Scored

Score = Callable[[nn.Module, dict[str, Any]], Scored]


class Anchor:
    r"""
    Measures how far the hidden states that a head reads have drifted from those of the model before training.

    For an example whose scores are made of the hidden states h_1 .. h_m (one at each candidate's last token, at the
    prompt's end, or at each place that predicts a token of a candidate), with h⁰ those that the model had:

        drift = 1/m sum_j |h_j - h⁰_j|² / |h⁰_j|²
        penalty = coefficient · max(0, drift - tolerance)

    Drift has no unit: 0 at the start, and 1 where the change is as long as the state was. What is below the tolerance
    is free, so that a model may adapt to the task.

    That a student should be anchored in its pretrained representation space, against drift that is excessive while what
    the task needs is allowed, is the idea of Le et al. 2026, "When In-Distribution Gains Fail" (arXiv 2605.25629), who
    call it Representation Anchoring. This equation is ours, and is not meant to repeat theirs.

    With an adapter, the model before training is the same one without it. Else a frozen copy is kept: its weights are
    that much more memory. Each step takes a second forward pass, without gradient.

    Args:
        head ([`~w2s_rm.heads.Head`]): How the model scores.
        model (`PreTrainedModel` or `PeftModel`): The model as it is before training; hooks are put on it.
        pad_token_id (`int`): What it takes for padding.

    Raises:
        ConfigError: No adapter, and weights that are spread over processes; or a head whose output layer is an adapter.
    """

    def __init__(self, head: Head, model: nn.Module, pad_token_id: int) -> None:
        self._head, self._pad_token_id = head, pad_token_id
        self._adapted = model if isinstance(model, PeftModel) else None
        self._copy: nn.Module | None = None
        if self._adapted is None:
            if is_deepspeed_zero3_enabled():
                raise ConfigError(
                    "anchor_coefficient keeps a copy of the whole model, and under ZeRO-3 no process has one; train "
                    "with LoRA (use_peft: true), whose model without adapter is the copy, or take ZeRO-2"
                )
            # Before the hooks: those of the copy would be copies themselves, and keep states for nobody.
            self._copy = copy.deepcopy(model).requires_grad_(False).eval()
        self._entered: Tensor | None = None
        self._watch(model)
        if self._copy is not None:
            self._watch(self._copy)

    def score(self, score: Score, model: nn.Module, inputs: dict[str, Any]) -> tuple[Scored, Tensor]:
        """Score a batch, and measure the drift of each example.

        Args:
            score (`Callable`): Scores a batch with a model.
            model (`nn.Module`): The model in training, wrapped or not.
            inputs (`dict`): What the collator of either layout made.

        Returns:
            The scores, and `drift_B` of shape `(B,)`, float32, with its gradient.
        """
        before_MD = self._before(score, model, inputs)
        scored = score(model, inputs)
        now_MD, example_M = self._read(inputs)
        return scored, mean_by_example(relative_distance(now_MD, before_MD), example_M, len(inputs["mask"]))

    def _before(self, score: Score, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """The hidden states of the model before training."""
        with torch.no_grad():
            if self._adapted is None:
                assert self._copy is not None
                # Moved at the first batch, since the Trainer places only its own model; from then on this does nothing.
                score(self._copy.to(inputs["input_ids"].device), inputs)
            else:
                # `model` may be a wrapper around the adapted model; in it the same adapter is off.
                with self._adapted.disable_adapter():
                    score(model, inputs)
        return self._read(inputs)[0]

    def _watch(self, model: nn.Module) -> None:
        layers = self._head.output_layers(model)
        if not layers:
            raise ConfigError(
                f"anchor_coefficient: no output layer of {type(model).__name__} says which hidden states are read; "
                "leave the output layer out of lora_target_modules"
            )
        for layer in layers:
            layer.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, entered: tuple[Tensor, ...]) -> None:
        # Of several layers the last one makes the scores.
        self._entered = entered[0]

    def _read(self, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        # Not kept: a graph hangs on it.
        entered, self._entered = self._entered, None
        assert entered is not None
        return self._head.read(entered, inputs, self._pad_token_id)


def relative_distance(now_MD: Tensor, before_MD: Tensor) -> Tensor:
    """Return the squared distance of each hidden state from another, over the squared length of that, shape `(M,)`.

    Args:
        now_MD (`Tensor` of shape `(M, D)`): Hidden states.
        before_MD (`Tensor` of shape `(M, D)`): What they were.
    """
    # Squares of bfloat16 keep two digits, and drift is small at first.
    now_MD, before_MD = now_MD.float(), before_MD.float()
    return (now_MD - before_MD).square().sum(dim=1) / before_MD.square().sum(dim=1)


def mean_by_example(values_M: Tensor, example_M: Tensor, count: int) -> Tensor:
    """Return the mean of the values of each example, shape `(B,)`.

    Args:
        values_M (`Tensor` of shape `(M,)`): Values.
        example_M (`Tensor` of shape `(M,)`): Whose they are, each example at least once.
        count (`int`): Number of examples.
    """
    sums_B = values_M.new_zeros(count).index_add(0, example_M, values_M)
    return sums_B / torch.bincount(example_M, minlength=count)


def excess(drift_B: Tensor, coefficient: float, tolerance: float) -> Tensor:
    """Return the penalty of each example, shape `(B,)`.

    Args:
        drift_B (`Tensor` of shape `(B,)`): What [`Anchor.score`] measured.
        coefficient (`float`): Weight of the penalty; 0 measures only.
        tolerance (`float`): Drift that is free.
    """
    return coefficient * (drift_B - tolerance).clamp(min=0.0)
