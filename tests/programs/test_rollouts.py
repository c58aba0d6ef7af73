"""Sampled completions: their draws, their ends, and their log-ratios against a count by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from w2s_rm.programs.rollouts import sample_completions

PROMPTS = ["w3 w4 w5", "w9", "w1 w2 w3 w4 w5 w6 w7", "w20 w21"]


@pytest.fixture(scope="module")
def policy(tiny_language_model: Callable[..., str]) -> tuple[Any, Any]:
    path = tiny_language_model()
    tokenizer = AutoTokenizer.from_pretrained(path)
    return load(path, tokenizer), tokenizer


def load(path: str, tokenizer: Any) -> Any:
    """A model that writes words and ends only: other special tokens would not show in the text."""
    model = AutoModelForCausalLM.from_pretrained(path)
    model.generation_config.suppress_tokens = [tokenizer.pad_token_id, tokenizer.unk_token_id]
    return model


@pytest.fixture(scope="module")
def other(policy: tuple[Any, Any]) -> Any:
    """The policy after a change of its weights."""
    return moved(load(policy[0].config._name_or_path, policy[1]))


def moved(model: Any) -> Any:
    """Change the last weights of a model."""
    torch.manual_seed(1)
    with torch.no_grad():
        model.lm_head.weight.add_(0.1 * torch.randn_like(model.lm_head.weight))
    return model


def sample(model: Any, start: Any, tokenizer: Any, **changes: Any) -> list[list[Any]]:
    options = {"samples": 3, "max_completion_length": 4, "seed": 0, **changes}
    return sample_completions(model, start, tokenizer, PROMPTS, **options)


def log_probability(model: Any, tokenizer: Any, prompt: str, ids: list[int]) -> float:
    """Log-probability of tokens after a prompt, alone in an unpadded row."""
    before = tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([before + ids])).logits[0].log_softmax(-1)
    return float(sum(logits[len(before) + place - 1, token] for place, token in enumerate(ids)))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_log_ratios_are_those_of_unpadded_rows(architecture: str, tiny_language_model: Callable[..., str]) -> None:
    """GPT-2 has learned positions, so that it notices where a padded row says its words are."""
    path = tiny_language_model(architecture)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model, other = load(path, tokenizer), moved(load(path, tokenizer))
    found = sample(other, model, tokenizer, samples=20, max_completion_length=6)
    seen = {"ended": 0, "cut": 0}
    for prompt, completions in zip(PROMPTS, found, strict=True):
        for text, log_ratio in completions:
            ids = tokenizer(text)["input_ids"]
            ended = len(ids) < 6
            seen["ended" if ended else "cut"] += 1
            ids = [*ids, tokenizer.eos_token_id] if ended else ids
            expected = log_probability(other, tokenizer, prompt, ids) - log_probability(model, tokenizer, prompt, ids)
            assert log_ratio == pytest.approx(expected, abs=1e-4)
    assert min(seen.values()) > 0


def test_the_policy_it_started_as_is_at_distance_zero(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    assert all(ratio == 0.0 for row in sample(model, model, tokenizer) for _, ratio in row)


def test_the_mean_log_ratio_estimates_the_divergence(policy: tuple[Any, Any], other: Any) -> None:
    """For one token the divergence is a sum over the vocabulary."""
    model, tokenizer = policy
    prompt = PROMPTS[0]
    other.generation_config.suppress_tokens = None
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    with torch.no_grad():
        p, q = (one(input_ids=ids).logits[0, -1].log_softmax(-1) for one in (other, model))
    exact = float((p.exp() * (p - q)).sum())
    found = sample_completions(other, model, tokenizer, [prompt], samples=4000, max_completion_length=1, seed=0)
    ratios = torch.tensor([ratio for _, ratio in found[0]])
    error = float(ratios.std() / len(ratios) ** 0.5)
    assert exact > 5 * error, "the two models differ"
    assert float(ratios.mean()) == pytest.approx(exact, abs=4 * error)


def test_draws_depend_on_the_seed_and_leave_the_random_state(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    torch.manual_seed(7)
    before = torch.rand(1)
    torch.manual_seed(7)
    first = sample(model, model, tokenizer)
    assert torch.rand(1) == before
    assert first == sample(model, model, tokenizer) != sample(model, model, tokenizer, seed=1)


def test_training_goes_on_as_it_was(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    model.train()
    model.config.use_cache = False
    sample(model, model, tokenizer)
    assert model.training and not model.config.use_cache
    model.eval()


def test_conversations_are_rendered_for_an_answer(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role[0] }} {{ m.content }} {% endfor %}{% if add_generation_prompt %}w7{% endif %}"
    )
    prompts = [({"role": "user", "content": "w3 w4"},), ({"role": "user", "content": "w5"},)]
    options: dict[str, Any] = {"samples": 2, "max_completion_length": 3, "seed": 0}
    chat = sample_completions(model, model, tokenizer, prompts, **options)
    text = sample_completions(model, model, tokenizer, ["u w3 w4 w7", "u w5 w7"], **options)
    assert chat == text
