"""The three heads against their reference forms: one row for each text, no padding, Python loops."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from training_helpers import WORDS
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, Gemma3Config

from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS
from w2s_rm.heads.scores import Scored, keep_in_float32, set_padding
from w2s_rm.losses.cross_entropy import CrossEntropy
from w2s_rm.types import Encoded, Example

ARCHITECTURES = ["llama", "qwen2", "gpt_neox", "gpt2"]


def write(words: Sequence[str]) -> str:
    return " " + " ".join(words)


def ragged_examples(counts: Sequence[int], seed: int = 0) -> list[Example]:
    """Examples with the given numbers of candidates, of one to four words, many with a common beginning."""
    generator = random.Random(seed)
    examples = []
    for number, count in enumerate(counts):
        roots = [tuple(generator.choices(WORDS, k=3)) for _ in range(3)]
        # One candidate begins the other; a third parts from them in its last word only.
        candidates = {roots[0][:1], roots[0], (*roots[0], "w7"), (*roots[0], "w8")} if count > 3 else {roots[0]}
        while len(candidates) < count:
            start = generator.choice(roots)[: generator.randint(0, 3)]
            candidates.add((*start, *generator.choices(WORDS, k=generator.randint(1, 4 - len(start)))))
        options = generator.sample(sorted(candidates), count)
        prompt = " ".join(generator.choices(WORDS, k=generator.choice([1, 2, 5, 12])))
        gold = generator.randrange(count)
        examples.append(Example(f"e{number}", prompt, prompt, tuple(map(write, options)), gold))
    return examples


def to_rows(examples: Sequence[Example], encoded: Sequence[Encoded]) -> list[dict[str, Any]]:
    return [
        {
            "id": example.id,
            "prompt_ids": row.prompt_ids,
            "candidate_ids": row.candidate_ids,
            "targets": [float(k == example.gold) for k in range(len(example.candidates))],
        }
        for example, row in zip(examples, encoded, strict=True)
    ]


def one_row(model: nn.Module, tokens: list[int]) -> Tensor:
    """Logits of one row as it is: no padding, no mask."""
    return model(input_ids=torch.tensor([tokens])).logits[0]


def loss_and_gradient(model: nn.Module, loss: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def by_head(head: str, model: nn.Module, rows: list[dict[str, Any]], pad: int, multiple: int | None = None) -> Tensor:
    """The mean cross-entropy as the trainers compute it."""
    batch = HEADS[head].collator(pad, multiple)(rows)
    scores_BK = HEADS[head].score(model, batch).scores_BK
    return CrossEntropy()(scores_BK, batch["targets"], batch["mask"], progress=0.0).per_example_B.mean()


def assert_same(model: nn.Module, ours: Tensor, reference: Tensor) -> None:
    our_loss, our_gradient = loss_and_gradient(model, ours)
    loss, gradient = loss_and_gradient(model, reference)
    torch.testing.assert_close(our_loss, loss, rtol=1e-5, atol=1e-6)
    assert our_gradient.keys() == gradient.keys() and gradient
    assert max(float(tensor.abs().max()) for tensor in gradient.values()) > 1e-2, "nothing to compare"
    for name, tensor in gradient.items():
        # Sums of many terms: rounding grows with the largest of them.
        atol = 1e-6 * max(1.0, float(tensor.abs().max()))
        torch.testing.assert_close(our_gradient[name], tensor, rtol=1e-5, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def classifier(folder: str, outputs: int, pad: int) -> Any:
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=outputs)
    model.config.pad_token_id = pad
    return model.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("side", ["right", "left"])
def test_reward_head_is_trls_pairwise_loss(
    architecture: str, side: str, tiny_language_model: Callable[..., str], tiny_tokenizer: Callable[..., Any]
) -> None:
    tokenizer = tiny_tokenizer(pad="<eos>" if side == "left" else "<pad>", side=side)
    model = classifier(tiny_language_model(architecture), 1, tokenizer.pad_token_id)
    examples = ragged_examples([2] * 9)
    encoded = HEADS["reward"].encode(tokenizer, examples, 64)

    differences = []
    for example, row in zip(examples, encoded, strict=True):
        chosen, rejected = (row.prompt_ids + row.candidate_ids[k] for k in (example.gold, 1 - example.gold))
        differences.append(one_row(model, chosen) - one_row(model, rejected))
    reference = -nn.functional.logsigmoid(torch.cat(differences)).mean()
    assert_same(model, by_head("reward", model, to_rows(examples, encoded), tokenizer.pad_token_id), reference)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "bert"])
@pytest.mark.parametrize("outputs", [2, 5])
def test_classification_head_is_cross_entropy_of_the_logits(
    architecture: str,
    outputs: int,
    tiny_language_model: Callable[..., str],
    tiny_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
) -> None:
    tokenizer = tiny_tokenizer(side="left" if outputs == 5 else "right")
    folder = tiny_language_model(architecture) if architecture != "bert" else None
    if folder is None:
        from transformers import AutoConfig

        torch.manual_seed(1)
        config = AutoConfig.from_pretrained(tiny_model("bert"), num_labels=outputs, initializer_range=0.2)
        model = AutoModelForSequenceClassification.from_config(config).eval()
    else:
        model = classifier(folder, outputs, tokenizer.pad_token_id)
    examples = ragged_examples([outputs] * 9, seed=1)
    encoded = HEADS["classification"].encode(tokenizer, examples, 64)
    assert all(row.candidate_ids == [[]] * outputs for row in encoded)

    logits_BK = torch.stack([one_row(model, row.prompt_ids) for row in encoded])
    reference = nn.functional.cross_entropy(logits_BK, torch.tensor([example.gold for example in examples]))
    assert_same(model, by_head("classification", model, to_rows(examples, encoded), tokenizer.pad_token_id), reference)


def log_prob(model: nn.Module, prompt: list[int], candidate: list[int]) -> Tensor:
    """Log-probability of a candidate, token by token, from the logits of the whole row."""
    log_probs_TV = one_row(model, prompt + candidate).log_softmax(dim=-1)
    total = torch.tensor(0.0)
    for place, token in enumerate(candidate):
        total = total + log_probs_TV[len(prompt) + place - 1, token]
    return total


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("side", "multiple"), [("right", None), ("left", 8)])
def test_lm_head_is_cross_entropy_over_ragged_candidates(
    architecture: str,
    side: str,
    multiple: int | None,
    tiny_language_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
) -> None:
    tokenizer = tiny_tokenizer(side=side)
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model(architecture)).eval()
    examples = ragged_examples([2, 40, 3, 17, 5])
    encoded = HEADS["lm"].encode(tokenizer, examples, 64)
    assert {len(ids) for row in encoded for ids in row.candidate_ids} == {1, 2, 3, 4}
    assert not any(tokenizer.eos_token_id in ids for row in encoded for ids in row.candidate_ids)

    rows = to_rows(examples, encoded)
    losses, scores = [], []
    for example, row in zip(examples, encoded, strict=True):
        scores_K = torch.stack([log_prob(model, row.prompt_ids, ids) for ids in row.candidate_ids])
        scores.append(scores_K.detach())
        losses.append(nn.functional.cross_entropy(scores_K[None], torch.tensor([example.gold])))
    batch = HEADS["lm"].collator(tokenizer.pad_token_id, multiple)(rows)
    scored_BK = HEADS["lm"].score(model, batch).scores_BK.detach()
    for ours_K, expected_K in zip(scored_BK, scores, strict=True):
        torch.testing.assert_close(ours_K[: len(expected_K)], expected_K, rtol=1e-5, atol=1e-5)
        assert (ours_K[len(expected_K) :] == torch.finfo(torch.float32).min).all()
    ours = by_head("lm", model, rows, tokenizer.pad_token_id, multiple)
    assert_same(model, ours, torch.stack(losses).mean())


def test_a_prompt_of_one_token_padded_far_has_finite_gradients(tiny_language_model: Callable[..., str]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model()).eval()
    rows = [
        {"prompt_ids": [9], "candidate_ids": [[10], [11]], "targets": [1.0, 0.0]},
        {"prompt_ids": list(range(10, 40)), "candidate_ids": [[10, 11, 12, 13], [11]], "targets": [0.3, 0.7]},
    ]
    _, gradient = loss_and_gradient(model, by_head("lm", model, rows, 0, 64))
    assert all(tensor.isfinite().all() for tensor in gradient.values())


def greedy_of(model: Any, prompt: list[int], candidates: Sequence[list[int]]) -> int:
    """Index of the longest candidate with which the text that the model writes begins; -1 for none."""
    length = max(map(len, candidates))
    prompt_ids = torch.tensor([prompt])
    mask = torch.ones_like(prompt_ids)
    text = model.generate(prompt_ids, attention_mask=mask, do_sample=False, max_new_tokens=length)[0, len(prompt) :]
    fitting = [k for k, ids in enumerate(candidates) if text[: len(ids)].tolist() == ids]
    return max(fitting, key=lambda k: len(candidates[k]), default=-1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_is_what_generate_writes(architecture: str, tiny_language_model: Callable[..., str]) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_language_model(architecture)).eval()
    generator = random.Random(0)
    rows: list[dict[str, Any]] = []
    for _ in range(40):
        prompt = generator.choices(range(3, 63), k=generator.randint(1, 9))
        written = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=4)[0, len(prompt) :].tolist()
        # Beginnings of what it writes, the same with another last token, and any others.
        own = [written[:length] for length in generator.sample(range(1, 5), k=generator.randint(0, 2))]
        near = [[*written[:place], (written[place] + 1) % 63] for place in range(len(written))]
        near.append([generator.randrange(63) for _ in range(2)])
        unique = {tuple(ids) for ids in [*own, *near]}
        candidates = [list(ids) for ids in generator.sample(sorted(unique), len(unique))]
        targets = [1.0 / len(candidates)] * len(candidates)
        rows.append({"prompt_ids": prompt, "candidate_ids": candidates, "targets": targets})
    scored = HEADS["lm"].score(model, HEADS["lm"].collator(0, None)(rows))
    expected = [greedy_of(model, row["prompt_ids"], row["candidate_ids"]) for row in rows]
    assert scored.greedy_B is not None and scored.greedy_B.tolist() == expected
    assert 8 <= expected.count(-1) <= 32


def test_tied_tokens_are_not_all_written(tiny_language_model: Callable[..., str]) -> None:
    # With every logit the same, generate writes token 0, which begins none of these.
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_language_model()).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    rows = [{"prompt_ids": [9, 8], "candidate_ids": [[5], [6, 7], [7]], "targets": [1.0, 0.0, 0.0]}]
    scored = HEADS["lm"].score(model, HEADS["lm"].collator(0, None)(rows))
    assert greedy_of(model, [9, 8], rows[0]["candidate_ids"]) == -1
    assert scored.greedy_B is not None and scored.greedy_B.tolist() == [-1]
    # 63 words of equal probability: -log 63 for each token.
    torch.testing.assert_close(scored.scores_BK[0].detach(), torch.tensor([-4.1431347, -8.2862695, -4.1431347]))


def test_candidates_of_one_token_share_a_row(tiny_language_model: Callable[..., str]) -> None:
    rows = [{"prompt_ids": [4, 5], "candidate_ids": [[k] for k in range(10, 40)], "targets": [1.0] + [0.0] * 29}]
    batch = HEADS["lm"].collator(0, None)(rows)
    assert batch["input_ids"].tolist() == [[4, 5]]
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model()).eval()
    scores_K = HEADS["lm"].score(model, batch).scores_BK[0]
    torch.testing.assert_close(scores_K, one_row(model, [4, 5])[-1].log_softmax(dim=-1)[10:40], rtol=1e-5, atol=1e-5)


def test_only_the_language_model_head_says_what_is_written(tiny_language_model: Callable[..., str]) -> None:
    rows = [{"prompt_ids": [4, 5], "candidate_ids": [[6], [7]], "targets": [1.0, 0.0]}]
    for name, outputs in (("reward", 1), ("classification", 2)):
        model = classifier(tiny_language_model(), outputs, 0)
        scored = HEADS[name].score(model, HEADS[name].collator(0, None)(rows))
        assert isinstance(scored, Scored) and scored.greedy_B is None and scored.scores_BK.shape == (1, 2)


@pytest.mark.parametrize(("head", "outputs"), [("reward", 1), ("classification", 3), ("lm", 0)])
def test_scores_are_made_in_float32_under_autocast(
    head: str, outputs: int, tiny_language_model: Callable[..., str]
) -> None:
    folder = tiny_language_model()
    model: Any = classifier(folder, outputs, 0) if outputs else AutoModelForCausalLM.from_pretrained(folder).eval()
    (layer,) = HEADS[head].output_layers(model)
    hidden = torch.linspace(-1, 1, 64).view(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(hidden).dtype == torch.bfloat16
        keep_in_float32([layer])
        kept = layer(hidden)
        assert kept.dtype == torch.float32
    torch.testing.assert_close(kept, hidden @ layer.weight.T)


@pytest.mark.parametrize(("head", "outputs"), [("classification", 4), ("lm", 0)])
def test_adapters_are_no_output_layers(head: str, outputs: int, tiny_language_model: Callable[..., str]) -> None:
    folder = tiny_language_model()
    model: Any = classifier(folder, outputs, 0) if outputs else AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(r=4, task_type=HEADS[head].task_type)
    adapted = get_peft_model(model, config)
    layers = HEADS[head].output_layers(adapted)
    assert layers and all(layer.out_features == (outputs or 63) for layer in layers)
    names = {name for name, module in adapted.named_modules() if any(module is layer for layer in layers)}
    assert not any("lora" in name for name in names), names


def test_a_classification_head_needs_classes_and_names_its_outputs() -> None:
    options = HEADS["classification"].model_options((" no", " yes"))
    assert options == {"num_labels": 2, "id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
    with pytest.raises(TypeError, match="fixed classes"):
        HEADS["classification"].model_options(None)
    assert HEADS["reward"].model_options((" no", " yes")) == {"num_labels": 1}
    assert HEADS["lm"].model_options((" no", " yes")) == {}


@pytest.mark.parametrize("head", ["classification", "lm"])
def test_a_prompt_without_tokens_is_refused(head: str, tiny_tokenizer: Callable[..., Any]) -> None:
    examples = [Example("full", "g", "w1", (" w2", " w3"), 0), Example("bare", "g", "", (" w2", " w3"), 0)]
    with pytest.raises(DataError, match=f"head {head} .*no token in it: bare"):
        HEADS[head].encode(tiny_tokenizer(), examples, 64)


def test_padding_is_told_to_the_text_part_of_a_model_of_text_and_images() -> None:
    """`GenericForSequenceClassification` finds the last token by the configuration of that part."""
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    text = {**sizes, "intermediate_size": 8, "vocab_size": 20, "pad_token_id": 0}
    vision = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "image_size": 16,
    }
    config = Gemma3Config(
        text_config=text, vision_config={**vision, "patch_size": 8}, num_labels=1, mm_tokens_per_image=4
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    set_padding(model, 5)
    plain, padded = torch.tensor([[7, 8, 9]]), torch.tensor([[7, 8, 9, 5, 5]])
    with torch.no_grad():
        expected = model(input_ids=plain).logits
        found = model(input_ids=padded, attention_mask=(padded != 5).long()).logits
    torch.testing.assert_close(found, expected)
