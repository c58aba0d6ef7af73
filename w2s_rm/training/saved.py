"""What a training leaves: an ordinary folder that scores as the model did that was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from transformers import AutoTokenizer, PreTrainedModel
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import ModelConfig

from w2s_rm.errors import ArtifactError
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.scores import keep_in_float32, set_padding
from w2s_rm.training.config import W2SRewardConfig
from w2s_rm.training.layout_probe import without_adapter
from w2s_rm.training.modeling import load_model, quiet_loading

_SAME = 1e-5
"""Of the same weights in float32, relative to a score."""
_MERGED = 1e-4
"""Of weights with an adapter added to them, in float32: sums come in another order in every layer."""
# bfloat16 keeps 8 bits, 0.4 % a rounding; through the layers, in another order of adding, these come to some percent.
_ROUNDED = 5e-2

Scores = Sequence[Sequence[float]]


def merge_adapter(
    head: str,
    model_args: ModelConfig,
    args: W2SRewardConfig,
    adapter: Path,
    output: Path,
    batch: Mapping[str, Any],
    expected: Scores,
    classes: Sequence[str] | None = None,
) -> tuple[list[list[float]], dict[str, float]]:
    """Merge a saved adapter into its base and save an ordinary folder, checking both steps.

    The adapter, loaded afresh onto its base, must score as the trained model did. Merging is checked in float32, since
    in bfloat16 a sum of weights rounds otherwise than a sum of what two weights give, and the two come to differ by
    more than any bound that would still notice a fault.

    Args:
        head (`str`): `reward`, `classification` or `lm`.
        model_args ([`~trl.ModelConfig`]): The base; a quantised one is loaded as it was trained, then dequantised.
        args ([`W2SRewardConfig`]): As in [`~w2s_rm.training.modeling.load_model`]; `device` and `bf16`.
        adapter (`Path`): Folder of the adapter.
        output (`Path`): Folder to write; its weights have the type of the base's.
        batch (`Mapping`): As in [`verify_saved`].
        expected (`Sequence[Sequence[float]]`): The scores of each example in training.
        classes (`Sequence[str]`, *optional*): As in [`~w2s_rm.training.modeling.load_model`].

    Returns:
        `tuple`: The scores that the folder must give, computed as in training, and counts for the manifest:
        `adapter_difference`, between the saved adapter and training, and `merge_difference`, between the merged model
        and training, both relative to `max(1, |score|)`.

    Raises:
        ArtifactError: The adapter is not what was trained, or merging changed what the model computes.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(adapter))

    def adapted(dequantized: bool) -> Any:
        model = _adapted(head, model_args, args, adapter, classes, dequantized)
        # Kept in the folder's configuration: it is read wherever that is loaded.
        set_padding(without_adapter(model), int(tokenizer.pad_token_id))
        return _ready(head, model, batch, args.device)

    bf16, quantized = bool(args.bf16), bool(model_args.load_in_4bit or model_args.load_in_8bit)
    model = adapted(dequantized=False)
    as_trained = _compare(adapter, _scores(head, model, batch, bf16), expected, _bound(model, bf16 or quantized))
    if quantized:
        # Before another is loaded: two beside the trainer's may not fit.
        del model
        # Merged into quantised weights, most of the adapter would be rounded away.
        model = adapted(dequantized=True)
        _compare(adapter, _scores(head, model, batch, bf16), expected, _ROUNDED)
    merged = _merged(head, model, batch, adapter)
    merged.save_pretrained(output)
    tokenizer.save_pretrained(output)
    merged = merged.to(args.device)
    # Again: an adapter may have stood around the unembedding.
    keep_in_float32(HEADS[head].output_layers(merged))
    scores = _scores(head, merged, batch, bf16)
    return scores, {"adapter_difference": as_trained, "merge_difference": _difference(scores, expected)}


def verify_saved(
    head: str,
    folder: Path,
    batch: Mapping[str, Any],
    expected: Scores,
    device: torch.device,
    bf16: bool,
    trust_remote_code: bool = False,
) -> float:
    """Load a saved model afresh and compare its scores with those seen in training.

    Args:
        head (`str`): `reward`, `classification` or `lm`.
        folder (`Path`): The saved model.
        batch (`Mapping`): What the trainer's collator made, in either layout; `mask` says which candidates are real.
        expected (`Sequence[Sequence[float]]`): The scores of each example before saving.
        device (`torch.device`): Where to compute.
        bf16 (`bool`): Training ran under bf16 autocast; the comparison does too, with its rounding.
        trust_remote_code (`bool`, *optional*, defaults to `False`): Run code that comes with the model.

    Returns:
        `float`: The largest difference relative to `max(1, |score|)`.

    Raises:
        ArtifactError: The scores differ: the folder does not hold the model that was trained.
    """
    # Else from_pretrained would shard this copy over processes, too.
    unset_hf_deepspeed_config()
    with quiet_loading():
        loaded = HEADS[head].auto_class.from_pretrained(
            folder, use_safetensors=True, dtype="auto", trust_remote_code=trust_remote_code
        )
    model = _ready(head, loaded, batch, device)
    return _compare(folder, _scores(head, model, batch, bf16), expected, _bound(model, bf16))


def _adapted(
    head: str,
    model_args: ModelConfig,
    args: W2SRewardConfig,
    adapter: Path,
    classes: Sequence[str] | None,
    dequantized: bool,
) -> Any:
    """A base with its saved adapter."""
    from peft import PeftModel

    # The base gets the same new head as before training, from the seed; the adapter then puts the trained one in its
    # place.
    model: Any = load_model(head, model_args, args, classes)
    return PeftModel.from_pretrained(model.dequantize() if dequantized else model, str(adapter))


def _merged(head: str, model: Any, batch: Mapping[str, Any], adapter: Path) -> Any:
    """Merge an adapter, compare in float32, and return the base with the type and attention that it had."""
    inner = without_adapter(model)
    kept, attention = inner.dtype, inner.config._attn_implementation
    # Not on the card: in float32 it is twice as large, and the trainer's model is there too.
    model = model.cpu().float()
    # Flash attention takes 16 bits alone, and nothing but cards.
    inner.set_attn_implementation(attention if attention == "eager" else "sdpa")
    apart = _scores(head, model, batch, bf16=False)
    merged = model.merge_and_unload()
    moved = _difference(_scores(head, merged, batch, bf16=False), apart)
    # Written this way round, NaN is a difference.
    if not moved <= _MERGED:
        raise ArtifactError(f"{adapter}: merged into its base it scores otherwise, by {moved:.2g}, relative")
    # Not `merged.to`: it rounds buffers too, such as rotary frequencies, which a loaded model has in float32.
    for parameter in merged.parameters():
        parameter.data = parameter.data.to(kept)
    merged.set_attn_implementation(attention)
    return merged


def _ready(head: str, model: Any, batch: Mapping[str, Any], device: torch.device) -> Any:
    """Let a model compute as a trainer's does in evaluation."""
    model = model.to(device).eval()
    # A bfloat16 unembedding alone would move log-probabilities by more than the tolerance.
    keep_in_float32(HEADS[head].output_layers(model))
    if "branches" in batch:
        read_branches(without_adapter(model))
    return model


def _scores(head: str, model: PreTrainedModel, batch: Mapping[str, Any], bf16: bool) -> list[list[float]]:
    device = next(model.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        scores_BK = HEADS[head].score(model, send_to_device(batch, device)).scores_BK.cpu()
    rows = zip(scores_BK, batch["mask"].cpu(), strict=True)
    return [row_K[mask_K].tolist() for row_K, mask_K in rows]


def _bound(model: Any, rounded: bool) -> float:
    return _ROUNDED if rounded or model.dtype != torch.float32 else _SAME


def _difference(scores: Scores, expected: Scores) -> float:
    """The largest difference relative to `max(1, |score|)`."""
    # Near a score of 0, rounding would be many times its size.
    scores_F, expected_F = (torch.tensor([score for row in rows for score in row]) for rows in (scores, expected))
    return float(((scores_F - expected_F).abs() / expected_F.abs().clamp(min=1.0)).max())


def _compare(folder: Path, scores: Scores, expected: Scores, bound: float) -> float:
    difference = _difference(scores, expected)
    # Written this way round, NaN is a difference.
    if not difference <= bound:
        raise ArtifactError(f"{folder}: reloaded scores differ from those in training by {difference:.2g}, relative")
    return difference
