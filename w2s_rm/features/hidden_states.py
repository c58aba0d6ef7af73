"""What a frozen model makes of examples, layer by layer: one forward pass, and one vector for each thing to be scored.

Shape suffixes: R rows fed to the model, T tokens, D width, N tokens of all rows, F things to be scored (candidates, or
prompts), in one flat row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from w2s_rm.errors import ConfigError
from w2s_rm.features.options import lacks_layers
from w2s_rm.heads.attention import tree_mask
from w2s_rm.heads.trees import PROMPT, Tree
from w2s_rm.training.frozen_layers import hidden_of, layers_of


class LayerReader:
    """Reads the hidden states of a model after some of its layers, as the next layer would.

    Layer 0 are the embeddings. Layers above the highest that is read are removed from the model. With `norm`, those
    after layer n are what the model gives as its last hidden state when it is cut after its n-th layer: that of the
    architecture behind its last layer, where there is one.

    Args:
        model (`PreTrainedModel`): A decoder or an encoder, with or without a head; changed in place.
        layers (`Sequence[int]`): Which ones, from 0 to the number of layers; below 0 counted from the end.

    Raises:
        ConfigError: The model lacks a layer, or what it makes of the last one is no norm of it.
    """

    def __init__(self, model: PreTrainedModel, layers: Sequence[int]) -> None:
        self.model: Any = model.base_model
        self._attention = str(model.config._attn_implementation)
        body, owner = layers_of(model)
        self.norm = _norm_behind(self.model, body, owner)
        self._numbers = {layer: layer if layer >= 0 else len(body) + layer for layer in layers}
        lacking = sorted(layer for layer, number in self._numbers.items() if not 0 <= number <= len(body))
        if lacking:
            raise ConfigError(lacks_layers(type(model).__name__, lacking, len(body)))
        # One layer stays in any case: what enters it are the embeddings.
        del body[max(1, *self._numbers.values()) :]
        self._found: dict[int, Tensor] = {}
        body[0].register_forward_pre_hook(self._enter, with_kwargs=True)
        for number, block in enumerate(body, start=1):
            if number in self._numbers.values():
                block.register_forward_hook(self._keep(number))

    def __call__(self, batch: Mapping[str, Any]) -> dict[int, Tensor]:
        """Feed a batch.

        Args:
            batch (`Mapping`): Tensors that a collator of either layout made, on the model's device.

        Returns:
            `dict[int, Tensor]`: By layer as it was asked for, of shape `(R, T, D)`.
        """
        # Without position ids rows must be padded on the right, as those of all heads are that have features.
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch.get("attention_mask")}
        if "branches" in batch:
            mask = tree_mask(batch["segments"], batch["branches"], self._attention)
            inputs |= {"attention_mask": mask, "position_ids": batch["position_ids"]}
        try:
            # The body alone, and not its `output_hidden_states`: that would keep the states of all layers at once.
            self.model(**inputs, use_cache=False)
            return {layer: self._found[number] for layer, number in self._numbers.items()}
        finally:
            # Kept here, they would be in memory beside those of the next batch.
            self._found.clear()

    def _enter(self, _: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._found[0] = arguments[0] if arguments else options["hidden_states"]

    def _keep(self, number: int) -> Any:
        def keep(_: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            self._found[number] = hidden_of(output)

        return keep


def cut(model: PreTrainedModel, layer: int) -> None:
    """Cut a model after one of its layers, so that its last hidden states are those that [`LayerReader`] reads there.

    Args:
        model (`PreTrainedModel`): Changed in place, its configuration too.
        layer (`int`): From 0, which leaves the embeddings, to the number of layers.
    """
    body, _ = layers_of(model)
    del body[layer:]
    # That of the model below may be another object.
    base: Any = model.base_model
    for config in (model.config, base.config):
        text: Any = config.get_text_config()
        text.num_hidden_layers = layer
        # With an entry for a layer that is not there, the configuration would not load.
        if getattr(text, "layer_types", None) is not None:
            text.layer_types = text.layer_types[:layer]


def pool(hidden_RTD: Tensor, batch: Mapping[str, Any], pooling: str) -> Tensor:
    """Make one vector of the hidden states of each thing to be scored, shape `(F, D)`, float32.

    Args:
        hidden_RTD (`Tensor` of shape `(R, T, D)`): What [`LayerReader`] returned, behind its norm.
        batch (`Mapping`): `read_at`, `parts` and `prompts`, as [`places`] makes them.
        pooling (`str`): One of [`~w2s_rm.features.options.POOLINGS`].
    """
    hidden_ND = hidden_RTD.flatten(0, 1).float()
    parts_N, prompts_F, count = batch["parts"], batch["prompts"], len(batch["read_at"])
    if pooling == "last":
        return hidden_ND[batch["read_at"]]
    # Where examples form chains, a prompt that is read in a longer one has no tokens of its own here, and so no mean.
    fed_N = parts_N >= 0
    # Parts are numbered as in `places`; the last is empty, so that what has no prompt of its own adds nothing.
    sums_PD = hidden_ND.new_zeros(2 * count + 1, hidden_ND.shape[1]).index_add(0, parts_N[fed_N], hidden_ND[fed_N])
    counts_P1 = torch.bincount(parts_N[fed_N], minlength=2 * count + 1)[:, None]
    if pooling == "mean_candidate":
        return sums_PD[:count] / counts_P1[:count]
    # Sums and counts apart: a prompt that several candidates share is added up once, and counts for each of them.
    return (sums_PD[:count] + sums_PD[prompts_F]) / (counts_P1[:count] + counts_P1[prompts_F])


def places(trees: Sequence[Tree], batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """Say where in a batch to look for each thing to be scored.

    Args:
        trees (`Sequence[Tree]`): The examples of the batch; without branches, the prompt is what is scored.
        batch (`Mapping`): What a collator of either layout made of them.

    Returns:
        `read_at`, of shape `(F,)`: flat positions in `(R, T)` at which a head reads. `parts`, of shape `(N,)`: to which
        part each token belongs, -1 for padding; part f is what is scored, those from F to 2F are prompts, 2F is empty.
        `prompts`, of shape `(F,)`: the part that is the prompt of each.
    """
    firsts, count = [], 0
    for tree in trees:
        firsts.append(count)
        count += max(1, len(tree.branches))
    shared = "branches" in batch
    parts_RT = torch.full(batch["input_ids"].shape, -1)
    prompts_F, read_at = torch.full((count,), 2 * count), []
    for first, tree in zip(firsts, trees, strict=True):
        for number in range(len(tree.branches)):
            # Rows of their own have prompts of their own, which an encoder reads with the candidate in mind.
            prompts_F[first + number] = count + first + (0 if shared else number)
    if shared:
        # For each segment the part of its prompt, and what to add to the number of a branch, which counts from 1. A
        # prompt without branches is itself what is scored.
        for_segment = [
            (count + first, first - 1) if tree.branches else (first, 0)
            for first, tree in zip(firsts, trees, strict=True)
        ]
        # Segment 0 is padding, of part -1.
        prompt_S, shift_S = torch.tensor([(-1, 0), *for_segment]).T
        segments_RT, branches_RT = batch["segments"], batch["branches"]
        parts_RT = torch.where(branches_RT > 0, shift_S[segments_RT] + branches_RT, prompt_S[segments_RT])
        return {"read_at": batch["read_at"], "parts": parts_RT.flatten(), "prompts": prompts_F}
    length = batch["input_ids"].shape[1]
    for first, tree in zip(firsts, trees, strict=True):
        for row, (branch, offset) in enumerate(tree.reads, start=first):
            end = len(tree.prompt)
            # In the padded layout rows come in the order of what is scored: row f is part f.
            parts_RT[row, :end] = prompts_F[row] if tree.branches else row
            if tree.branches:
                parts_RT[row, end : end + len(tree.branches[row - first])] = row
            read_at.append(row * length + offset + (0 if branch == PROMPT else end))
    return {"read_at": torch.tensor(read_at), "parts": parts_RT.flatten(), "prompts": prompts_F}


def _norm_behind(base: Any, body: nn.ModuleList, owner: nn.Module) -> nn.Module:
    """What stands between the last layer and the last hidden state: a norm, or nothing."""
    seen: dict[Any, tuple[Any, Any]] = {}

    def watch(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        seen[module] = (arguments[0] if arguments else None, output)

    watched = [body[-1], *(child for child in owner.children() if child is not body)]
    handles = [module.register_forward_hook(watch) for module in watched]
    try:
        device = next(base.parameters()).device
        with torch.no_grad():
            # Two tokens of any kind: what comes behind the last layer is asked for, not what it says.
            words = torch.ones(1, 2, dtype=torch.long, device=device)
            last = base(input_ids=words, attention_mask=torch.ones_like(words), use_cache=False).last_hidden_state
    finally:
        for handle in handles:
            handle.remove()
    state = hidden_of(seen[body[-1]][1])
    for module, (entered, left) in seen.items():
        # To the last bit, so that no other module that happens to be close is taken for it.
        if module is not body[-1] and _same(entered, state) and _same(left, last):
            norm: nn.Module = module
            return norm
    if _same(state, last):
        return nn.Identity()
    raise ConfigError(
        f"{type(base).__name__} makes more of its last layer than a norm of it, so single layers cannot be read; "
        "train the model itself"
    )


def _same(one: Any, other: Tensor) -> bool:
    return isinstance(one, Tensor) and one.shape == other.shape and torch.equal(one, other)
