"""Whether a model reads shared prefixes as it reads padded rows: asked of its configuration, then of a small copy.

Shape suffixes: B examples, K candidates.
"""

from __future__ import annotations

import copy
import inspect
import random
from typing import Any

import torch
from accelerate.utils import send_to_device
from peft import PeftModel
from transformers import PreTrainedModel
from transformers.modeling_utils import set_zero3_state
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from w2s_rm.heads import Head
from w2s_rm.heads.attention import output_layer, read_branches
from w2s_rm.heads.pooled import LAST, PooledForSequenceClassification
from w2s_rm.heads.trees import SharedPrefixCollator

_ATTENTION = ("sdpa", "eager", "flex_attention")
_PLAIN_LAYERS = {"full_attention", "sliding_attention"}
_LAYERS, _WORDS, _WIDTH = 4, 64, 64
# More tokens than a candidate of `_examples` has with its prompt, fewer than their rows of trees have: what a model
# measures along the row instead of by position ids shows.
_REACH = 16
_REACHES = ("max_position_embeddings", "n_positions", "sliding_window", "window_size")
# Rounding of float32 leaves some 1e-7 of the scores' size; a token that sees what it must not changes them by about
# that size.
_TOLERANCE = 1e-5
# There the two layouts add up in different orders, and may multiply in TF32.
_GPU_TOLERANCE = 1e-3


def why_not_shared(head: Head, model: Any, max_length: int | None, device: torch.device) -> str | None:
    """Say why a model cannot share prefixes, `None` if it can.

    Args:
        head ([`~w2s_rm.heads.Head`]): The head.
        model (`PreTrainedModel` or `PeftModel`): The model of that head.
        max_length (`int`, *optional*): Most tokens of a prompt with one candidate.
        device (`torch.device`): Where the model will compute.
    """
    inner = without_adapter(model)
    return _refusal(model, inner, max_length) or _try_copy(inner, head, device)


def without_adapter(model: Any) -> PreTrainedModel:
    """Return the model without the adapter around it.

    Args:
        model (`PreTrainedModel` or `PeftModel`): The model.
    """
    inner: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(inner, PreTrainedModel)
    return inner


def _refusal(model: Any, inner: PreTrainedModel, max_length: int | None) -> str | None:
    """Say what forbids shared prefixes before anything is computed, if anything does."""
    config, name = inner.config, type(inner).__name__
    text = config.get_text_config()
    if isinstance(inner, PooledForSequenceClassification) and config.pooling != LAST:
        return f"{name} reads all tokens of a row, which must then be one prompt with one candidate"
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        return "the adapter puts tokens of its own before the prompt"
    if config.is_encoder_decoder:
        return f"{name} has an encoder, which reads in both directions"
    # Some names stand for encoders and decoders, such as BERT's: `is_decoder` tells.
    if text.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not text.to_dict().get("is_decoder"):
        return f"{name} reads in both directions, so a prompt is not the same before different candidates"
    if config._attn_implementation not in _ATTENTION:
        return f"attn_implementation {config._attn_implementation} takes no mask of branches; {_ATTENTION[0]} does"
    if "position_ids" not in inspect.signature(inner.base_model.forward).parameters:
        return f"{name} takes no position ids"
    layers = set(text.to_dict().get("layer_types") or ())
    if layers - _PLAIN_LAYERS:
        return f"{name} has layers that are no plain attention: {', '.join(sorted(layers - _PLAIN_LAYERS))}"
    # Transformers applies no window where it is given a whole mask, so no row may be longer than one.
    window = _window(text, layers)
    if window is not None and (max_length is None or max_length > window):
        return f"{name} sees the last {window} tokens only, and rows may have {max_length or 'any number of'} tokens"
    if output_layer(inner) is None:
        return f"{name} has neither a layer called score nor an unembedding"
    return None


def _window(config: Any, layers: set[str]) -> int | None:
    values = config.to_dict()
    # A configuration may name a window that none of its layers uses.
    if layers and layers == {"full_attention"}:
        return None
    sizes = [values[name] for name in ("sliding_window", "attention_chunk_size") if values.get(name) is not None]
    return min(sizes, default=None)


def _try_copy(model: PreTrainedModel, head: Head, device: torch.device) -> str | None:
    """Score a few examples in both layouts with a small copy of random weights; say how that fails, if it does.

    The copy shows what the architecture does with masks and positions, whatever the real weights' precision is and
    wherever they are: on another process, quantised, or all the same.
    """
    name, classes = type(model).__name__, model.config.num_labels or 1
    # Compiled attention is another kernel on every kind of device, with limits of its own: only where the model will
    # compute does the copy show that it works. All others obey the same mask everywhere, and a CPU has the memory.
    probe_device = device if model.config._attn_implementation == "flex_attention" else torch.device("cpu")
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            small: Any = small_copy(model)
            small.to(probe_device).eval()
            examples = _examples(head, classes)
            padded = head.collator(0, None)(examples)
            shared = SharedPrefixCollator(head.tree, 0, chains=head.chains)(examples)
            # Padded rows first: once it has been taught to read branches, the copy is another model.
            expected_BK = head.score(small, send_to_device(padded, probe_device)).scores_BK
            read_branches(small)
            scores_BK = head.score(small, send_to_device(shared, probe_device)).scores_BK
    # Whatever the copy raises says that this model cannot: the log names it, and padded rows need none of it.
    except Exception as error:
        return f"{name} cannot read a mask of branches ({type(error).__name__}: {error})"
    mask_BK = padded["mask"].to(probe_device)
    spread = float(expected_BK[mask_BK].abs().max())
    difference = float((scores_BK - expected_BK)[mask_BK].abs().max()) / spread
    tolerance = _TOLERANCE if probe_device.type == "cpu" else _GPU_TOLERANCE
    if difference <= tolerance:
        return None
    return f"{name} gives other scores with it (relative difference {difference:.1e})"


def small_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Make a model of the same architecture with few layers, few words and random weights in float32.

    Args:
        model (`PreTrainedModel`): Only its class and its configuration are read.
    """
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    values = text.to_dict()
    text.num_hidden_layers = min(text.num_hidden_layers, _LAYERS)
    if values.get("layer_types"):
        text.layer_types = values["layer_types"][: text.num_hidden_layers]
    if values.get("intermediate_size"):
        text.intermediate_size = min(text.intermediate_size, _WIDTH)
    for name in _REACHES:
        if isinstance(values.get(name), int):
            setattr(text, name, min(values[name], _REACH))
    # The text model's configuration may be the whole one, or a part of it.
    for part in {id(part): part for part in (config, text)}.values():
        part.vocab_size = _WORDS
        # The real special tokens lie outside of so small a vocabulary.
        part.pad_token_id, part.bos_token_id, part.eos_token_id = 0, None, None
        part.dtype = torch.float32
    # The same weights each time, so that a model is not refused on one day and taken on another; the caller's generator
    # is forked.
    torch.default_generator.manual_seed(0)
    # Under ZeRO-3 a model for sequence classification makes its body by `from_config`, which would cut the weights up.
    with set_zero3_state():
        small: PreTrainedModel = type(model)(config)
    small.float()
    for parameter in small.parameters():
        if parameter.dim() > 1:
            # The scale at which each layer matters as much as the one before.
            parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    small.set_attn_implementation(str(model.config._attn_implementation))
    return small


def _examples(head: Head, classes: int) -> list[dict[str, Any]]:
    generator = random.Random(0)

    def words(count: int) -> list[int]:
        return [generator.randrange(3, _WORDS) for _ in range(count)]

    examples = []
    # Short and long prompts with few and many candidates, so that rows hold several of them.
    for prompt, count in ((11, 2), (1, 7), (5, 3)) * 2:
        candidates = [words(1 + number % 4) for number in range(count)]
        if head.needs_classes:
            candidates = [[] for _ in range(classes)]
        targets = [1.0 / len(candidates)] * len(candidates)
        whole = words(prompt)
        # Of a chain the beginnings are examples, too.
        for end in range(1, prompt + 1, 2) if head.chains else (prompt,):
            examples.append({"prompt_ids": whole[:end], "candidate_ids": candidates, "targets": targets})
    return examples
