"""What a policy writes: completions sampled for prompts, and how far they are from those of the policy it started as.

Shape suffixes: N completions of a batch, T tokens of a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from w2s_rm.types import Text


class Completion(NamedTuple):
    """What a policy wrote for a prompt.

    Args:
        text (`str`): Without special tokens.
        log_ratio (`float`): Log-probability under the policy minus that under the starting policy, in nats, with the
            token that ends it. Its mean over completions estimates the Kullback-Leibler divergence.
    """

    text: str
    log_ratio: float


def sample_completions(
    model: Any,
    start: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Text],
    *,
    samples: int,
    max_completion_length: int,
    seed: int,
    batch_size: int = 64,
) -> list[list[Completion]]:
    """Sample completions at temperature 1, from the whole distribution.

    Draws depend on `seed` alone, and the caller's random state is left as it was.

    Args:
        model (`PreTrainedModel`): The policy.
        start (`PreTrainedModel`): The policy it started as.
        tokenizer (`PreTrainedTokenizerBase`): Of both.
        prompts (`Sequence` of text or messages): What is to be answered.
        samples (`int`): Completions of each prompt.
        max_completion_length (`int`): Most tokens of a completion.
        seed (`int`): Of the draws.
        batch_size (`int`, *optional*, defaults to `64`): Prompts in one batch.

    Returns:
        `list[list[Completion]]`: `samples` completions of each prompt.
    """
    completions: list[list[Completion]] = []
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), evaluating(model), torch.no_grad():
        torch.manual_seed(seed)
        for first in range(0, len(prompts), batch_size):
            inputs = _encode(tokenizer, prompts[first : first + batch_size], device)
            rows_NT = _generate(model, tokenizer, inputs, samples, max_completion_length)
            width = inputs["input_ids"].shape[1]
            # `generate` writes all completions of a prompt one below the other.
            prompt_mask_NT = inputs["attention_mask"].repeat_interleave(samples, dim=0)
            mask_NT = _mask(prompt_mask_NT, rows_NT, width, tokenizer)
            log_ratio_N = _log_probability(model, rows_NT, mask_NT, width)
            log_ratio_N -= _log_probability(start, rows_NT, mask_NT, width)
            texts = tokenizer.batch_decode(rows_NT[:, width:], skip_special_tokens=True)
            pairs = [Completion(*pair) for pair in zip(texts, log_ratio_N.tolist(), strict=True)]
            completions += [
                pairs[first_sample : first_sample + samples] for first_sample in range(0, len(pairs), samples)
            ]
    return completions


@contextlib.contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout off and the cache on for a while: gradient checkpointing keeps models from using it."""
    training, cached = model.training, model.config.use_cache
    model.eval()
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = cached
        model.train(training)


def _encode(tokenizer: Any, prompts: Sequence[Text], device: torch.device) -> dict[str, Tensor]:
    if isinstance(prompts[0], str):
        ids = tokenizer(list(prompts), return_token_type_ids=False)["input_ids"]
    else:
        messages = [list(prompt) for prompt in prompts]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    padded = tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt")
    return {name: padded[name].to(device) for name in ("input_ids", "attention_mask")}


def _generate(model: Any, tokenizer: Any, inputs: dict[str, Tensor], samples: int, length: int) -> Tensor:
    rows_NT: Tensor = model.generate(
        **inputs,
        do_sample=True,
        # Against the generation config of the model: the log-ratio is that of the whole distribution.
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        num_return_sequences=samples,
        max_new_tokens=length,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        disable_compile=True,
    )
    return rows_NT


def _mask(prompt_mask_NT: Tensor, rows_NT: Tensor, width: int, tokenizer: Any) -> Tensor:
    """Mark the tokens that count: the prompt's, and the completion's up to the first end, which counts too."""
    # How many ends there are up to each token; one place to the right, before it: the first end itself still counts.
    ended_NT = (rows_NT[:, width:] == tokenizer.eos_token_id).long().cumsum(dim=1)
    before_NT = torch.nn.functional.pad(ended_NT[:, :-1], (1, 0))
    return torch.cat([prompt_mask_NT, (before_NT == 0).long()], dim=1)


def _log_probability(model: Any, rows_NT: Tensor, mask_NT: Tensor, width: int) -> Tensor:
    """Log-probability of each completion, in float32, shape `(N,)`."""
    # Rows are padded on the left: positions count from the first token that is none.
    positions_NT = (mask_NT.cumsum(dim=1) - 1).clamp(min=0)
    # The last token of the prompt predicts the first of the completion.
    kept = rows_NT.shape[1] - width + 1
    with evaluating(model):
        logits_NTV = model(
            input_ids=rows_NT, attention_mask=mask_NT, position_ids=positions_NT, logits_to_keep=kept
        ).logits
    # Each place predicts the next token, and the last one predicts nothing that was written. In float32, for hundreds
    # of logarithms are added up.
    log_p_NTV = torch.log_softmax(logits_NTV[:, :-1].float(), dim=-1)
    log_p_NT = log_p_NTV.gather(2, rows_NT[:, width:, None])[..., 0]
    return (log_p_NT * mask_NT[:, width:]).sum(dim=1)
