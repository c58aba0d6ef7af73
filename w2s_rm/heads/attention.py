"""How a model reads rows of prompts with their candidates as branches.

Shape suffixes: R rows, T tokens, D width, F places that are read, O outputs.
"""

from __future__ import annotations

import inspect
import types
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def read_branches(model: PreTrainedModel) -> None:
    """Teach a model the arguments that [`~w2s_rm.heads.trees.SharedPrefixCollator`] makes; it keeps its own.

    With `read_at` among its arguments, `forward` returns the outputs at these places only, of shape `(F, O)`. Wrappers
    for training in parallel and adapters pass the arguments on.

    Args:
        model (`PreTrainedModel`): Changed in place: a decoder with a layer `score`, or with an unembedding.
    """
    # A function of the model where it is one, so that a deep copy runs its own weights.
    bound = model.forward
    original = bound.__func__ if inspect.ismethod(bound) else lambda _, *args, **options: bound(*args, **options)

    def forward(self: Any, *arguments: Any, read_at: Tensor | None = None, **options: Any) -> Any:
        # Generation and rows that are no trees go the way they always went.
        if read_at is None:
            return original(self, *arguments, **options)
        # What adapters add: arguments of the forward that is replaced here.
        inputs = {name: value for name, value in options.items() if value is not None and name != "return_dict"}
        # From the two numbers of each token, and not from a mask that the collator made: (R, 1, T, T) numbers would
        # have to go to the device with every batch.
        segments_RT, branches_RT = inputs.pop("segments"), inputs.pop("branches")
        # transformers takes a mask of four dimensions as it is (`masking_utils._preprocess_mask_arguments`), without
        # adding a causal one or that of a window.
        mask = tree_mask(segments_RT, branches_RT, self.config._attn_implementation)
        # Past the model's own head: it would make logits of every token, of which a few are read.
        hidden_RTD = self.base_model(attention_mask=mask, **inputs).last_hidden_state
        output = output_layer(self)
        assert output is not None
        # `read_at` counts through all rows as if they were one: a row has as many places to read as its trees need.
        read_FD = hidden_RTD.flatten(0, 1)[read_at]
        # Classifiers of tokens drop out what enters their last layer.
        dropout = dict(self.named_children()).get("dropout")
        return output(read_FD if dropout is None else dropout(read_FD))

    # Generation makes position ids only where the signature has them.
    forward.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    model.forward = types.MethodType(forward, model)


def tree_mask(segments_RT: Tensor, branches_RT: Tensor, attention: str) -> Any:
    """Make the attention mask of rows of trees: a token sees its own branch and its prompt, up to itself.

    Args:
        segments_RT (`Tensor` of shape `(R, T)`): Number of the example of each token; 0 is padding.
        branches_RT (`Tensor` of shape `(R, T)`): Number of its branch; 0 is the prompt.
        attention (`str`): `sdpa` takes a boolean mask of shape `(R, 1, T, T)`, `eager` what is added to the scores,
            `flex_attention` a block mask.
    """
    rows, length = segments_RT.shape
    if attention == "flex_attention":
        from torch.nn.attention.flex_attention import create_block_mask

        def sees(row: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
            # The second argument, the attention head, is of no account: all of them see the same.
            same_tree = segments_RT[row, query] == segments_RT[row, key]
            branch = branches_RT[row, key]
            return same_tree & (key <= query) & ((branch == 0) | (branch == branches_RT[row, query]))

        return create_block_mask(sees, rows, None, length, length, device=str(segments_RT.device))
    # In place, step by step: of the largest rows this table is as big as an attention map.
    # Keys in the last dimension, queries before it: is the key in the query's branch, or in a prompt (branch 0), and in
    # the same tree?
    same_RTT = branches_RT[:, None, :] == branches_RT[:, :, None]
    same_RTT |= (branches_RT == 0)[:, None, :]
    same_RTT &= segments_RT[:, None, :] == segments_RT[:, :, None]
    # The lower triangle is "up to itself", for a row holds a tree's prompt before its branches. Padding (segment 0)
    # sees padding, so that no query is left without a key: softmax over nothing is NaN.
    mask_R1TT = same_RTT.tril()[:, None]
    if attention == "eager":
        # Added to scores, the lowest number is as good as minus infinity, and a row of padding stays free of NaN.
        return torch.where(mask_R1TT, 0.0, torch.finfo(torch.float32).min)
    return mask_R1TT


def output_layer(model: PreTrainedModel) -> nn.Module | None:
    """Return what makes scores or logits from a decoder's hidden states, `None` where there is no such layer.

    Args:
        model (`PreTrainedModel`): The model, without adapter around it.
    """
    children = dict(model.named_children())
    # Classifiers of tokens have a dropout before it, and some of them call it so.
    of_tokens = children.get("classifier") if "dropout" in children else None
    layer: nn.Module | None = children.get("score") or of_tokens or model.get_output_embeddings()
    return layer
