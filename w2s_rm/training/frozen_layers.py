"""Layers that are not trained, and what they make of the examples: read once, and fed to the layers above.

Shape suffixes: R rows fed to the model, T tokens, D width, N tokens of all examples, in one flat row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from w2s_rm.errors import ConfigError

# Stored are 16 bits, and kernels round by the shape of a batch; other tokens or another layout are off by about 1.
_ROUNDING = 0.05


def layers_of(model: Any) -> tuple[nn.ModuleList, nn.Module]:
    """Return the list of a model's layers, and the module that holds it.

    Args:
        model (`PreTrainedModel`): A decoder or an encoder, with or without a head.

    Raises:
        ConfigError: It has no such list.
    """
    # By the number that the configuration gives: architectures call the list `layers`, `h`, `layer` or `blocks`.
    count = model.config.get_text_config().num_hidden_layers
    for owner in model.base_model.modules():
        for child in owner.children():
            if isinstance(child, nn.ModuleList) and len(child) == count:
                return child, owner
    raise ConfigError(
        f"{type(model).__name__} has no list of {count} layers, so none can be told from the others; train all of it"
    )


def hidden_of(output: Any) -> Tensor:
    """Return the hidden states in what a layer returns: the first of a tuple, or all there is."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def fed_tokens(batch: Mapping[str, Tensor]) -> Tensor:
    """Return the flat positions in `(R, T)` of the tokens that are no padding, example by example, shape `(N,)`.

    Args:
        batch (`Mapping`): What a collator of either layout made.
    """
    if "segments" not in batch:
        # Rows are ordered by example.
        return batch["attention_mask"].flatten().nonzero()[:, 0]
    segments_RT = batch["segments"].flatten()
    places_N = segments_RT.nonzero()[:, 0]
    # Rows of trees are filled by size, so that examples stand in any order; segments count them as the batch does.
    # Stable, so that the tokens of an example keep theirs.
    return places_N[segments_RT[places_N].argsort(stable=True)]


class FrozenLayers:
    """Puts stored hidden states in the place of a model's first layers, while a training scores its examples.

    The first batch goes through all layers, and what they make of it must be what is stored. From then on they return
    what is stored, and compute nothing. Whatever is scored otherwise, such as held-out examples, goes through all of
    them. They stay in the model, and are saved with it.

    Args:
        model (`PreTrainedModel`): The model, not yet wrapped, without adapter; its layers are changed in place.
        count (`int`): How many of its first layers are frozen, at least one.
        states (`Callable`): From ids of examples to the states that the next layer reads, each of shape `(N, D)`.

    Raises:
        ConfigError: There are none, or they drop out values at random, so that no two readings are the same.
    """

    def __init__(self, model: Any, count: int, states: Callable[[Sequence[str]], list[Tensor]]) -> None:
        body, _ = layers_of(model)
        if count < 1:
            raise ConfigError(f"freeze: cached: all {len(body)} layers are trained; use fewer layers, or cached: false")
        frozen = list(body[:count])
        trained = {module for layer in body[count:] for module in layer.modules()}
        # Embeddings drop out too.
        dropouts = [module for module in model.base_model.modules() if isinstance(module, nn.Dropout)]
        # Layers that are trained may drop out values: what they read is the same each time, and what they make is not
        # stored.
        random = max((module.p for module in dropouts if module not in trained), default=0.0)
        if random:
            raise ConfigError(
                f"freeze: cached: frozen layers of {type(model).__name__} drop out values at random (p = {random}); "
                "set disable_dropout: true, or cached: false"
            )
        self._states = states
        self._fed: tuple[Tensor, Tensor] | None = None
        self._checked = self._tuple = False
        for layer in frozen[:-1]:
            self._replace(layer, last=False)
        self._replace(frozen[-1], last=True)

    @contextlib.contextmanager
    def feeding(self, inputs: Mapping[str, Any]) -> Iterator[None]:
        """Feed what is stored of a batch, whatever scores it inside this context.

        Args:
            inputs (`Mapping`): What the collator of either layout made, on the model's device, with `ids`.

        Raises:
            ConfigError: What is stored is not what the layers make of the batch.
        """
        # Examples in the order of the batch, each with its tokens in the order of its row: that of `fed_tokens`.
        stored_ND = torch.cat(self._states(inputs["ids"]))
        places_N = fed_tokens(inputs)
        if len(places_N) != len(stored_ND):
            raise _other(f"{len(stored_ND)} tokens, and these rows have {len(places_N)}")
        self._fed = places_N, stored_ND.to(places_N.device)
        try:
            yield
        finally:
            self._fed = None

    def _replace(self, layer: nn.Module, *, last: bool) -> None:
        whole = layer.forward

        def forward(hidden_RTD: Tensor, *arguments: Any, **options: Any) -> Any:
            if self._fed is None or not self._checked:
                output = whole(hidden_RTD, *arguments, **options)
                if self._fed is not None and last:
                    self._check(output)
                return output
            # All but the last pass on what they get: only their number and their place in the list are still needed.
            given_RTD = self._laid_out(hidden_RTD) if last else hidden_RTD
            return (given_RTD,) if self._tuple else given_RTD

        # On the instance, as in `read_branches`: hooks, checkpointing and saved names stay what they were.
        layer.forward = forward

    def _laid_out(self, like_RTD: Tensor) -> Tensor:
        assert self._fed is not None
        places_N, stored_ND = self._fed
        states_RTD = torch.zeros_like(like_RTD)
        states_RTD.flatten(0, 1)[places_N] = stored_ND.to(like_RTD.dtype)
        # Layers that are computed again on the way back may need an input with a gradient.
        return states_RTD.requires_grad_(like_RTD.requires_grad)

    def _check(self, output: Any) -> None:
        """Compare what is stored with what the layers make of the same tokens, and see how they return it."""
        assert self._fed is not None
        places_N, stored_ND = self._fed
        computed_ND = hidden_of(output).detach().flatten(0, 1)[places_N].float()
        difference = float(
            (computed_ND - stored_ND.float()).square().mean().sqrt() / computed_ND.square().mean().sqrt()
        )
        # Written this way round, NaN is a difference.
        if not difference <= _ROUNDING:
            raise _other(f"other states: they differ by {difference:.0%} of their size")
        self._checked, self._tuple = True, isinstance(output, tuple)


def _other(what: str) -> ConfigError:
    return ConfigError(
        f"freeze: cached: stored are {what}; the layout or the precision of the training is another than that of its "
        "features: set layout and bf16 for the whole recipe, or cached: false"
    )
