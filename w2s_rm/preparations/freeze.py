"""Train the last layers only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.heads import HEADS
from w2s_rm.stages.train import Train

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Freeze:
    """All but the last layers, and a new head if there is one, keep the weights that they have.

    A student then cannot change what it knows to suit its supervisor's errors, only how it is read out. Source: Kumar
    et al. 2022 (arXiv 2202.10054) compare linear probing, the case of no layer, with finetuning.

    Args:
        layers (`int`): How many of the last layers are trained; 0 trains the head alone.
        cached (`bool`, *optional*, defaults to `False`): Whether what the others make of the examples is read once, for
            all seeds, methods and epochs, and kept on disk: 2 bytes x the model's width for each token. A training then
            costs the last layers only, and is the same but for rounding to 16 bits.

    Raises:
        OptionError: A negative number, or 0 layers and `cached`, of which only the last token's would be read.
    """

    layers: int
    cached: bool = False

    def __post_init__(self) -> None:
        if self.layers < 0:
            raise OptionError("freeze", {"layers": f"is {self.layers}; use 0 or more"})
        if self.cached and self.layers == 0:
            raise OptionError("freeze", {"cached": "of no layers but the head: on: features does that in seconds"})

    def prepare(self, route: Route, training: Train) -> Train:
        """Freeze the others."""
        if training.options.get("use_peft"):
            raise ConfigError("freeze: with LoRA (use_peft) all weights are frozen already; use one of both")
        if self.cached and training.options.get("anchor_coefficient") is not None:
            raise ConfigError(
                "freeze: cached: anchor_coefficient compares with all layers of a copy; leave one of the two out"
            )
        if HEADS[training.head].writes and self.layers == 0:
            raise ConfigError(
                f"freeze: head {training.head} has no new head, so with layers: 0 nothing would be trained; use 1 or "
                "more"
            )
        if self.cached and HEADS[training.head].chains:
            raise ConfigError(
                f"freeze: cached: head {training.head} reads several examples in one row, and states are kept by "
                "example; set cached: false, or train on: features"
            )
        # Where the model is only on a hub the number is not known yet, and the training itself refuses.
        known = None if training.part is None else route.layers(training.part)
        if known is not None and self.layers > known:
            raise ConfigError(f"freeze: layers: is {self.layers}, and the model has {known}; use {known} or fewer")
        # Of the model as it is prepared so far: what stands before this in the list may have made another one.
        states = route.token_states(training, self.layers) if self.cached else None
        return dataclasses.replace(training, trainable_layers=self.layers, frozen_states=states)
