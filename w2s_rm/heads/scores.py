"""From what a model puts out to the scores of candidates, in float32.

Shape suffixes: B examples, K candidates, R rows fed to the model, L positions whose logits are kept, F places that are
read, in one flat row, O outputs of the model, V words of the vocabulary, M tokens of all candidates, in one flat row,
T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Scored(NamedTuple):
    """Scores of a batch.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Float32; `finfo.min` at padding candidates. Those of the same tokens
            have the same score, to the last bit.
        greedy_B (`Tensor` of shape `(B,)`, *optional*): Candidate that greedy decoding writes, -1 for none of them.
    """

    scores_BK: Tensor
    greedy_B: Tensor | None = None


def score_tokens(model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
    """Sum the log-probabilities of each candidate's tokens, and see which one greedy decoding would write.

    Args:
        model (`nn.Module`): A language model.
        inputs (`Mapping`): A batch of either layout, with `token_places`, `token_ids` and `token_candidates`.
    """
    logits_FV = _write(model, inputs)
    place_M, token_M = inputs["token_places"], inputs["token_ids"]
    # Only where tokens are read: log_softmax of all logits would need their memory once more.
    log_probs_M = logits_FV[place_M, token_M] - logits_FV.logsumexp(dim=-1)[place_M]
    mask_BK, owner_M = inputs["mask"], inputs["token_candidates"]
    # A sum and no mean: it is the log-probability of the whole candidate, which a mean over its length is not.
    # From here on F counts real candidates, of which there may be more than places, or fewer.
    sums_F = log_probs_M.new_zeros(int(mask_BK.sum())).index_add(0, owner_M, log_probs_M)
    with torch.no_grad():
        # Not by the highest value: of tied tokens decoding writes one.
        best_M = (token_M == logits_FV.argmax(dim=-1)[place_M]).float()
        lengths_F = torch.zeros_like(sums_F).index_add(0, owner_M, torch.ones_like(best_M))
        hits_F = torch.zeros_like(sums_F).index_add(0, owner_M, best_M)
        # Where one candidate begins another, decoding goes on to the longer one.
        written_BK = scatter(torch.where(hits_F == lengths_F, lengths_F, -1.0), mask_BK)
        # Padding candidates hold the lowest number and those that are not written -1, so what is above 0 is the length
        # of one that is.
        longest_B, index_B = written_BK.max(dim=1)
    return Scored(tie(scatter(sums_F, mask_BK), inputs), torch.where(longest_B > 0, index_B, -1))


def keep_in_float32(layers: Sequence[nn.Linear]) -> None:
    """Let layers compute in float32 under autocast.

    In bfloat16 a score of about 1 comes in steps of 1/128: close candidates tie, and weak labels are coarse.

    Args:
        layers (`Sequence[nn.Linear]`): Changed in place.
    """
    for layer in layers:
        # In place of `forward` and not as another module, so that hooks (ZeRO-3's), adapters and saved names stay.
        layer.forward = _Float32Linear(layer)  # type: ignore[method-assign, assignment]


def set_padding(model: Any, pad_token_id: int) -> None:
    """Tell a model which token pads: sequence classification finds the last token of a row by it.

    Args:
        model (`PreTrainedModel`): Changed in place.
        pad_token_id (`int`): The tokenizer's.
    """
    # A model of text and images asks the configuration of its text part, all others their own.
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = pad_token_id


@dataclass(frozen=True)
class _Float32Linear:
    # A field and no closure: a deep copy of the model computes with its own layer.
    layer: nn.Linear

    def __call__(self, hidden: Tensor) -> Tensor:
        layer = self.layer
        # Autocast would turn the arguments of `linear` back into 16 bits, whatever they are.
        with torch.autocast(hidden.device.type, enabled=False):
            bias = None if layer.bias is None else layer.bias.float()
            return nn.functional.linear(hidden.float(), layer.weight.float(), bias)


def _read(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    # No attention mask: `read_branches` makes it of segments and branches.
    names = ("input_ids", "position_ids", "segments", "branches", "read_at")
    outputs_FO: Tensor = model(**{name: inputs[name] for name in names}, use_cache=False)
    return outputs_FO.float()


def classify(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """Return what a classifier puts out for each row or place that is read, shape `(R, O)` or `(F, O)`.

    One that classifies tokens puts out `(R, T, O)` for whole rows.

    Args:
        model (`nn.Module`): The model.
        inputs (`Mapping`): A batch of either layout.
    """
    if "branches" in inputs:
        return _read(model, inputs)
    # Keys and values are kept for generation only; here they would be memory for nothing.
    outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
    logits: Tensor = outputs.logits.float()
    return logits


def mask_ends(values_RTX: Tensor, inputs: Mapping[str, Any]) -> Tensor:
    """Return what stands at the last token of each row that is no padding, by the mask, shape `(R, X)`.

    Args:
        values_RTX (`Tensor` of shape `(R, T, X)`): Logits, or states.
        inputs (`Mapping`): A batch of the padded layout, padded on the right.
    """
    last_R = inputs["attention_mask"].sum(dim=1) - 1
    return values_RTX[torch.arange(len(values_RTX), device=values_RTX.device), last_R]


def row_ends(entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> Tensor:
    """Return the hidden states that a sequence classifier reads, shape `(F, D)`.

    Args:
        entered (`Tensor` of shape `(R, T, D)` or `(F, D)`): What entered its output layer: the states of all tokens, of
            which it takes the outputs at the rows' ends, or of what it reads.
        inputs (`Mapping`): A batch of either layout.
        pad_token_id (`int`): What the model takes for padding.
    """
    if entered.dim() == 2:
        return entered
    # As transformers does, by the token and not by the mask.
    real_RT = inputs["input_ids"] != pad_token_id
    # The place of the last real token: its number is the highest among those that padding does not set to 0.
    last_R = (real_RT * torch.arange(real_RT.shape[1], device=real_RT.device)).argmax(dim=1)
    return entered[torch.arange(len(entered), device=entered.device), last_R]


def _write(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    if "branches" in inputs:
        return _read(model, inputs)
    mask_RT = inputs["attention_mask"]
    outputs = model(
        input_ids=inputs["input_ids"],
        attention_mask=mask_RT,
        # Behind padding on the left, the first token of the text still stands at 0.
        position_ids=(mask_RT.cumsum(dim=1) - 1).clamp(min=0),
        logits_to_keep=int(inputs["kept"]),
        use_cache=False,
    )
    logits_RLV: Tensor = outputs.logits.float()
    return logits_RLV.flatten(0, 1)


def scatter(values_F: Tensor, mask_BK: Tensor) -> Tensor:
    """Put the values of candidates in their places; padding candidates hold the lowest number.

    Args:
        values_F (`Tensor` of shape `(F,)`): Of the real candidates, example by example.
        mask_BK (`Tensor` of shape `(B, K)`): `True` at real candidates.
    """
    scores_BK = torch.full(mask_BK.shape, torch.finfo(torch.float32).min, device=mask_BK.device)
    # The lowest number and not minus infinity: 0 times infinity, in a loss with targets of 0, is NaN. softmax gives 0
    # for both.
    return scores_BK.masked_scatter(mask_BK, values_F)


def tie(scores_BK: Tensor, inputs: Mapping[str, Any]) -> Tensor:
    """Give candidates of the same tokens one score: rounding, which differs from place to place, is no preference.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Scores.
        inputs (`Mapping`): The batch, with `alike` where an example has such candidates.
    """
    return scores_BK.gather(1, inputs["alike"]) if "alike" in inputs else scores_BK
