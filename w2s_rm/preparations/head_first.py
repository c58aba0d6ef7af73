"""Train the head on the frozen model first, then all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.roles import INTERMEDIATE
from w2s_rm.stages.train import Train

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class HeadFirst:
    """Linear probing, then finetuning, on the same labels.

    A new head begins with random weights, and its first steps would distort what the model knows. Source: Kumar et al.
    2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution" (arXiv 2202.10054).

    Args:
        train (`Mapping`, *optional*): Training options of the first part, where they differ: usually a higher
            `learning_rate`.
    """

    train: Mapping[str, Any] = field(default_factory=dict, hash=False, metadata={"trainer": "reward"})

    def prepare(self, route: Route, training: Train) -> Train:
        """Put a training of the head before the training."""
        # Its scores come from the unembedding, which is pretrained as the rest is.
        if HEADS[training.head].writes:
            raise ConfigError(
                f"head_first: head {training.head} has no new head to train; leave it out, or take another head"
            )
        if training.options.get("use_peft"):
            raise ConfigError("head_first: not with LoRA (use_peft), which the first part would not train; use freeze")
        if training.frozen_states is not None:
            raise ConfigError(
                "head_first: stands behind freeze with cached: true, whose states are what the last layers read, and "
                "not the head; put head_first before it, or set cached: false"
            )
        options = {**training.options, **self.train}
        # A step on the way, which no report takes for a student.
        head = dataclasses.replace(training, trainable_layers=0, options=options, of=INTERMEDIATE, note="head")
        return dataclasses.replace(training, model_name_or_path=head.model)
