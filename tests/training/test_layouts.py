"""Both layouts give the same scores and gradients, for every head, whatever is padding and where candidates end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import WORDS
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from w2s_rm import W2SRewardConfig
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.trees import SharedPrefixCollator
from w2s_rm.training.layouts import choose_layout, make_collator
from w2s_rm.types import Example

PAD, EOS, CLASSES = 0, 1, 5
COUNTS = {
    "reward": (2, 60, 3, 17, 5, 2, 2),
    "classification": (CLASSES,) * 9,
    "lm": (2, 60, 3, 17, 5, 2, 2),
    "steps": (CLASSES,) * 9,
}
ARCHITECTURES = ["llama", "qwen2", "qwen3", "gpt_neox", "gpt2", "gemma", "gemma3_text", "mistral"]

Row = dict[str, Any]
Batch = dict[str, Any]


def sentence(generator: random.Random, least: int, most: int) -> str:
    return "".join(f" {word}" for word in generator.choices(WORDS, k=generator.randint(least, most)))


def encoded_rows(head: str, tokenizer: Any, max_length: int = 24, seed: int = 0) -> list[Row]:
    """Examples of many sizes as the head reads them: prompts of 1 to 30 words, the longest cut."""
    generator = random.Random(seed)
    examples = []
    for number, count in enumerate(COUNTS[head]):
        prompt = sentence(generator, 30, 30) if number == 1 else sentence(generator, 1, 12)
        options = {sentence(generator, 1, 6) for _ in range(count)}
        while len(options) < count:
            options.add(sentence(generator, 1, 6))
        examples.append(Example(f"e{number}", prompt, prompt, tuple(sorted(options)), generator.randrange(count)))
    encoded = HEADS[head].encode(tokenizer, examples, max_length)
    assert encoded[1].cut_prompt_tokens > 0 == encoded[0].cut_prompt_tokens
    rows = []
    for example, row in zip(examples, encoded, strict=True):
        target = torch.rand(len(example.candidates), generator=torch.Generator().manual_seed(seed))
        targets = (target / target.sum()).tolist()
        rows.append({"prompt_ids": row.prompt_ids, "candidate_ids": row.candidate_ids, "targets": targets})
    return rows


def example(prompt: Sequence[int], *candidates: Sequence[int]) -> Row:
    targets = [1.0 / len(candidates)] * len(candidates)
    return {"prompt_ids": list(prompt), "candidate_ids": [list(ids) for ids in candidates], "targets": targets}


def load(folder: str, head: str, pad: int, attention: str = "sdpa") -> Any:
    torch.manual_seed(1)
    if head == "lm":
        return AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
    outputs = CLASSES if HEADS[head].needs_classes else 1
    model = HEADS[head].auto_class.from_pretrained(folder, num_labels=outputs, attn_implementation=attention)
    model.config.pad_token_id = pad
    (layer,) = HEADS[head].output_layers(model)
    with torch.no_grad():
        layer.weight.normal_(0.0, 0.2)
    return model.eval()


def both_batches(head: str, model: Any, rows: list[Row], pad: int, **options: Any) -> tuple[Batch, Batch]:
    """What the collators of the two layouts make, as the trainers choose and make them."""
    batches = []
    for name in ("padded", "shared_prefix"):
        args = W2SRewardConfig("unused", layout=name, max_length=64, use_cpu=True, bf16=False, **options)
        layout = choose_layout(HEADS[head], model, args)
        assert layout.name == name
        if name == "shared_prefix":
            read_branches(model)
        batches.append(make_collator(layout, HEADS[head], model, args, pad)(rows))
    assert "branches" in batches[1] and "branches" not in batches[0]
    return batches[0], batches[1]


def scores_and_gradient(head: str, model: Any, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores, and the gradient of the mean cross-entropy."""
    model.zero_grad()
    scores_BK = HEADS[head].score(model, batch).scores_BK
    loss = torch.nn.functional.cross_entropy(scores_BK, batch["targets"])
    loss.backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return scores_BK.detach(), gradient


def assert_close(actual: Tensor, expected: Tensor, rtol: float, name: str) -> None:
    # Sums of many terms: rounding grows with the largest of them.
    atol = rtol * max(1e-2, float(expected.abs().max()))
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol, msg=lambda message: f"{name}: {message}")


def assert_same(head: str, model: Any, padded: Batch, shared: Batch) -> None:
    expected_BK, expected = scores_and_gradient(head, model, padded)
    scores_BK, gradient = scores_and_gradient(head, model, shared)
    mask_BK = padded["mask"]
    assert torch.equal(shared["mask"], mask_BK) and torch.equal(shared["targets"], padded["targets"])
    assert float(expected_BK[mask_BK].std()) > 0.05, "scores that are all alike prove nothing"
    assert_close(scores_BK[mask_BK], expected_BK[mask_BK], 1e-5, "scores")
    assert (scores_BK[~mask_BK] == torch.finfo(torch.float32).min).all()
    assert gradient.keys() == expected.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert max(float(tensor.abs().max()) for tensor in expected.values()) > 1e-2, "nothing to compare"
    for name, tensor in expected.items():
        assert_close(gradient[name], tensor, 1e-4, name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize(("pad", "side"), [("<pad>", "right"), ("<eos>", "left")])
def test_scores_and_gradients_are_the_same(
    architecture: str,
    head: str,
    pad: str,
    side: str,
    tiny_language_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
) -> None:
    if (head, architecture) == ("steps", "gemma3_text"):
        pytest.skip("transformers has no token classifier of this architecture")
    tokenizer = tiny_tokenizer(pad=pad, side=side)
    model = load(tiny_language_model(architecture), head, tokenizer.pad_token_id)
    rows = encoded_rows(head, tokenizer)
    padded, shared = both_batches(head, model, rows, tokenizer.pad_token_id)
    assert_same(head, model, padded, shared)
    assert shared["input_ids"].numel() < 0.8 * padded["input_ids"].numel() or HEADS[head].needs_classes


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("options", [{"pad_to_multiple_of": 16}, {"max_tokens_per_batch": 100}, {"one_row": True}])
def test_the_shape_of_rows_does_not_change_scores(
    head: str,
    attention: str,
    options: dict[str, Any],
    tiny_language_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
) -> None:
    model = load(tiny_language_model(), head, PAD, attention)
    rows = encoded_rows(head, tiny_tokenizer(), seed=3)
    settings = {name: value for name, value in options.items() if name != "one_row"}
    padded, shared = both_batches(head, model, rows, PAD, **settings)
    if "one_row" in options:
        shared = SharedPrefixCollator(HEADS[head].tree, PAD, one_row=True)(rows)
        assert len(shared["input_ids"]) == 1
    assert shared["input_ids"].shape[1] % options.get("pad_to_multiple_of", 1) == 0
    assert_same(head, model, padded, shared)


@pytest.mark.parametrize("head", list(HEADS))
def test_rows_without_any_padding_and_a_single_example(head: str, tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model(), head, PAD)
    empty: list[Sequence[int]] = [[] for _ in range(CLASSES)]
    candidates = empty if HEADS[head].needs_classes else [[3], [4, 5], [4, 6, 7]]
    padded, shared = both_batches(head, model, [example([8, 9, 10], *candidates)], PAD)
    assert (shared["segments"] > 0).all()
    assert_same(head, model, padded, shared)


# With pad == eos (1), what is read is the last token that is neither.
EDGES = [
    example([5, 6], [1], [7, 1]),
    example([5, 6], [1, 1], [1]),
    example([5, 1, 1], [1], [8]),
    example([1, 1], [1], [1, 9, 1, 1]),
    example([], [1], [1, 1]),
    example([], [7], [8, 9, 1]),
    example([], [0], [0, 0, 5, 0]),
    example([4, 0, 0], [0], [0, 0]),
    example([0], [0], [1]),
    example([12], [13], [14], [15, 16]),
]


def plain_score(model: Any, ids: list[int]) -> Tensor:
    """The score that transformers gives to one text, without padding and mask."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("pad", [PAD, EOS])
def test_rewards_are_read_where_transformers_reads_them(
    architecture: str, pad: int, tiny_language_model: Callable[..., str]
) -> None:
    model = load(tiny_language_model(architecture), "reward", pad)
    padded, shared = both_batches("reward", model, EDGES, pad)
    assert_same("reward", model, padded, shared)
    scores_BK = HEADS["reward"].score(model, shared).scores_BK.detach()
    for scores_K, row in zip(scores_BK, EDGES, strict=True):
        for score, ids in zip(scores_K, row["candidate_ids"], strict=False):
            torch.testing.assert_close(score[None], plain_score(model, row["prompt_ids"] + ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pad", [PAD, EOS])
def test_prompts_are_read_where_transformers_reads_them(pad: int, tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model(), "classification", pad)
    prompts = [[5, 6, 1], [5, 1, 1], [1, 1], [1], [7, 0], [0, 0], [0], [9, 0, 8], [1, 9]]
    rows = [example(prompt, *[[]] * CLASSES) for prompt in prompts]
    padded, shared = both_batches("classification", model, rows, pad)
    assert_same("classification", model, padded, shared)
    expected_BK = torch.stack([plain_score(model, prompt) for prompt in prompts])
    scores_BK = HEADS["classification"].score(model, shared).scores_BK.detach()
    torch.testing.assert_close(scores_BK, expected_BK, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pad", [PAD, EOS])
def test_tokens_of_padding_are_predicted_like_others(pad: int, tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model("qwen2"), "lm", pad)
    rows = [row for row in EDGES if row["prompt_ids"]]
    padded, shared = both_batches("lm", model, rows, pad)
    assert_same("lm", model, padded, shared)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_greedy_choices_are_the_same(architecture: str, tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model(architecture), "lm", PAD)
    generator = random.Random(0)
    rows = []
    for _ in range(24):
        prompt = torch.tensor([generator.choices(range(3, 63), k=generator.randint(1, 6))])
        written = model.generate(prompt, do_sample=False, max_new_tokens=3)[0, prompt.shape[1] :].tolist()
        others = [[*written[:place], (written[place] + 1) % 63] for place in range(len(written))]
        rows.append(example(prompt[0].tolist(), *others, *([written] if generator.random() < 0.5 else [])))
    padded, shared = both_batches("lm", model, rows, PAD)
    expected_B, greedy_B = (HEADS["lm"].score(model, batch).greedy_B for batch in (padded, shared))
    assert expected_B is not None and greedy_B is not None and torch.equal(greedy_B, expected_B)
    assert 4 <= int((greedy_B == -1).sum()) <= 20


SCALED_POSITIONS = {
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 64},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}


@pytest.mark.parametrize("kind", list(SCALED_POSITIONS))
def test_scaled_rotations_are_the_same(
    kind: str, tiny_language_model: Callable[..., str], tiny_tokenizer: Callable[..., Any]
) -> None:
    scaling = {"rope_type": kind, "rope_theta": 10000.0, **SCALED_POSITIONS[kind]}
    config = AutoConfig.from_pretrained(tiny_language_model(), num_labels=1, rope_parameters=scaling, pad_token_id=PAD)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    padded, shared = both_batches("reward", model, encoded_rows("reward", tiny_tokenizer()), PAD)
    assert_same("reward", model, padded, shared)
