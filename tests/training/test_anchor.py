"""The drift of hidden states and its penalty: against written-out arithmetic, in both layouts, also with an adapter.

Shape suffixes: B examples, M hidden states that are read, D width.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from training_helpers import COMMON, Record, questions
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.integrations import HfDeepSpeedConfig

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.trees import SharedPrefixCollator
from w2s_rm.training.anchor import Anchor, excess, mean_by_example

Load = Callable[..., Any]
PAD, EOS, CLASSES = 0, 1, 3
LAYOUTS = ("padded", "shared_prefix")


@pytest.fixture
def load(tiny_language_model: Callable[..., str]) -> Load:
    """Load the tiny model for a head, the same weights each time."""

    def load(head: str, pad: int = PAD, architecture: str = "llama") -> Any:
        torch.manual_seed(1)
        folder = tiny_language_model(architecture)
        if head == "lm":
            return AutoModelForCausalLM.from_pretrained(folder).eval()
        outputs = CLASSES if HEADS[head].needs_classes else 1
        model = HEADS[head].auto_class.from_pretrained(folder, num_labels=outputs).eval()
        model.config.pad_token_id = pad
        (layer,) = HEADS[head].output_layers(model)
        layer.weight.data.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(1))
        return model

    return load


def rows(head: str, end: int = EOS) -> list[dict[str, Any]]:
    """Examples of unequal lengths and, but for classes, of unequal numbers of candidates."""
    generator, made = random.Random(0), []
    for count in (2, 3, 2, 4):
        words = [generator.choices(range(3, 60), k=generator.randint(1, 5)) for _ in range(count)]
        candidates = [[]] * CLASSES if HEADS[head].needs_classes else [[*ids, end] for ids in words]
        prompt = generator.choices(range(3, 60), k=generator.randint(1, 9))
        targets = [1 / len(candidates)] * len(candidates)
        made.append({"prompt_ids": prompt, "candidate_ids": candidates, "targets": targets})
    return made


def batch(head: str, layout: str, model: Any, pad: int = PAD) -> dict[str, Any]:
    if layout == "padded":
        return HEADS[head].collator(pad, None)(rows(head))
    read_branches(model)
    return SharedPrefixCollator(HEADS[head].tree, pad)(rows(head))


def moved(model: Any, scale: float = 0.05) -> Any:
    """Another model near by."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * parameter.std() * torch.randn(parameter.shape, generator=generator))
    return model


def read(head: str, model: Any, inputs: dict[str, Any], pad: int = PAD) -> tuple[Tensor, Tensor]:
    entered: list[Tensor] = []
    handles = [
        layer.register_forward_pre_hook(lambda _, given: entered.append(given[0]))
        for layer in HEADS[head].output_layers(model)
    ]
    HEADS[head].score(model, inputs)
    for handle in handles:
        handle.remove()
    return HEADS[head].read(entered[-1], inputs, pad)


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("pad", [PAD, EOS])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_both_layouts_read_the_states_that_scores_are_made_of(
    head: str, pad: int, architecture: str, load: Load
) -> None:
    model = load(head, pad, architecture)
    found = {layout: (batch(head, layout, model, pad)) for layout in LAYOUTS}
    states = {layout: read(head, model, inputs, pad) for layout, inputs in found.items()}
    torch.testing.assert_close(states["padded"][0], states["shared_prefix"][0], rtol=1e-5, atol=1e-5)
    assert torch.equal(states["padded"][1], states["shared_prefix"][1])
    states_MD, example_M = states["padded"]
    inputs = found["padded"]
    scores_BK = HEADS[head].score(model, inputs).scores_BK
    (layer,) = HEADS[head].output_layers(model)
    outputs_MO = layer(states_MD)
    if head == "lm":
        log_probs_M = outputs_MO.log_softmax(dim=1)[torch.arange(len(outputs_MO)), inputs["token_ids"]]
        sums_F = torch.zeros(int(inputs["mask"].sum())).index_add(0, inputs["token_candidates"], log_probs_M)
        torch.testing.assert_close(sums_F, scores_BK[inputs["mask"]])
        assert torch.equal(example_M.bincount(), torch.tensor([sum(map(len, r["candidate_ids"])) for r in rows(head)]))
    else:
        torch.testing.assert_close(outputs_MO.flatten(), scores_BK[inputs["mask"]])
        counts = [1] * 4 if HEADS[head].needs_classes else [len(row["candidate_ids"]) for row in rows(head)]
        assert example_M.bincount().tolist() == counts


def hidden(model: Any, ids: list[int]) -> Tensor:
    """The last hidden state of each token of one text, without padding, mask or hook."""
    return model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]


def written_out(head: str, model: Any, before: Any, row: dict[str, Any]) -> Tensor:
    """The drift of one example by its definition, text by text."""
    if HEADS[head].needs_classes:
        texts, places = [row["prompt_ids"]], [[-1]]
    else:
        texts = [row["prompt_ids"] + ids for ids in row["candidate_ids"]]
        # A token is predicted at the place before it.
        first = len(row["prompt_ids"]) - 1
        places = [[-1] if head == "reward" else list(range(first, len(text) - 1)) for text in texts]
    ratios = []
    for text, read_at in zip(texts, places, strict=True):
        now, then = hidden(model, text), hidden(before, text).detach()
        ratios += [((now[n] - then[n]) ** 2).sum() / (then[n] ** 2).sum() for n in read_at]
    return sum(ratios[1:], ratios[0]) / len(ratios)


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_drift_and_its_gradient_are_those_of_the_definition(head: str, layout: str, load: Load) -> None:
    model, before = load(head), load(head)
    inputs = batch(head, layout, model)
    anchor = Anchor(HEADS[head], model, PAD)
    moved(model)
    _, drift_B = anchor.score(HEADS[head].score, model, inputs)
    expected_B = torch.stack([written_out(head, model, before, row) for row in rows(head)])
    torch.testing.assert_close(drift_B, expected_B, rtol=1e-4, atol=1e-6)
    assert 1e-4 < float(expected_B.detach().min()) < float(expected_B.detach().max()) < 1
    # Between the drifts of the second and the third example: it frees two and not the others.
    tolerance = float(expected_B.detach().sort().values[1:3].mean())
    penalty_B = excess(drift_B, 3.0, tolerance)
    torch.testing.assert_close(penalty_B, 3.0 * torch.relu(expected_B - tolerance), rtol=1e-3, atol=1e-6)
    assert 0 < int((penalty_B > 0).sum()) < len(penalty_B)
    gradients = [
        torch.autograd.grad(loss_B.sum(), list(model.base_model.parameters()), retain_graph=True)
        for loss_B in (penalty_B, 3.0 * torch.relu(expected_B - tolerance))
    ]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * max(1.0, float(expected.abs().max())))


def test_a_mean_is_by_example() -> None:
    values, owners = torch.tensor([1.0, 3.0, 5.0, 7.0]), torch.tensor([1, 0, 1, 1])
    assert mean_by_example(values, owners, 2).tolist() == pytest.approx([3.0, 13 / 3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_adapter_and_its_merged_weights_drift_alike(layout: str, load: Load) -> None:
    adapted = get_peft_model(load("reward"), LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(1))
    plain = load("reward")
    inputs = [batch("reward", layout, model) for model in (adapted.get_base_model(), plain)]
    anchor = Anchor(HEADS["reward"], plain, PAD)
    merged = copy.deepcopy(adapted).merge_and_unload()
    plain.load_state_dict(merged.state_dict())
    with_adapter = Anchor(HEADS["reward"], adapted, PAD)
    _, drift_B = with_adapter.score(HEADS["reward"].score, adapted, inputs[0])
    _, expected_B = anchor.score(HEADS["reward"].score, plain, inputs[1])
    torch.testing.assert_close(drift_B, expected_B, rtol=1e-4, atol=1e-6)
    assert float(drift_B.detach().min()) > 1e-3
    # The adapter still trains.
    drift_B.sum().backward()
    trained = {name: p.grad for name, p in adapted.named_parameters() if p.requires_grad}
    assert any("lora_A" in name for name in trained) and all(
        grad is not None and float(grad.abs().max()) > 0 for name, grad in trained.items() if "lora" in name
    )


def train(
    head: str, model: str, folder: Path, data: list[dict[str, Any]], **options: Any
) -> tuple[list[tuple[float, float]], list[float]]:
    """Loss and gradient norm of each step, and the drift."""
    record, peft = Record(), options.pop("peft_config", None)
    config = W2SRewardConfig(str(folder), **{**COMMON, "max_steps": 8, "learning_rate": 3e-3, **options})
    arguments = {"model": model, "args": config, "train_dataset": datasets.Dataset.from_list(data)}
    if head == "reward":
        trainer: Any = W2SRewardTrainer(**arguments, callbacks=[record], peft_config=peft)
    else:
        trainer = W2STrainer(**arguments, head=head, callbacks=[record], peft_config=peft)
    trainer.train()
    drifts = [entry["drift"] for entry in trainer.state.log_history if "drift" in entry]
    return record.steps, drifts


@pytest.fixture(scope="module")
def material(
    tiny_model: Callable[..., str], tiny_language_model: Callable[..., str], pairs: Callable[..., Any]
) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    asked = questions(64)
    return {
        "reward": (tiny_model(), pairs(64)),
        "classification": (tiny_language_model(), asked),
        "steps": (tiny_language_model(), asked),
        "lm": (tiny_language_model(), asked),
    }


@pytest.mark.parametrize("head", list(HEADS))
def test_a_coefficient_of_zero_measures_and_changes_no_digit(head: str, material: Any, tmp_path: Path) -> None:
    without, nothing = train(head, *material[head][:1], tmp_path / "a", material[head][1])
    measured, drifts = train(head, *material[head][:1], tmp_path / "b", material[head][1], anchor_coefficient=0.0)
    assert measured == without and nothing == []
    assert drifts[0] == 0.0 and len(drifts) == 8 and all(later > 0 for later in drifts[1:])


@pytest.mark.parametrize(
    "options", [{}, {"peft_config": LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS")}]
)
def test_drift_shrinks_with_the_coefficient(material: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    model, data = material["reward"]
    drifts = [
        train("reward", model, tmp_path / str(n), data, max_steps=16, anchor_coefficient=coefficient, **options)[1][-1]
        for n, coefficient in enumerate((0.0, 1.0, 30.0))
    ]
    assert drifts[0] > 1.5 * drifts[1] > 1.5 * 1.5 * drifts[2] > 0


def test_a_tolerance_is_used_up_and_not_much_more(material: Any, tmp_path: Path) -> None:
    model, data = material["reward"]
    free = train("reward", model, tmp_path / "a", data, max_steps=16, anchor_coefficient=0.0)[1][-1]
    held = train("reward", model, tmp_path / "b", data, max_steps=16, anchor_coefficient=30.0)[1][-1]
    tolerance = (free + held) / 2
    some = train(
        "reward", model, tmp_path / "c", data, max_steps=16, anchor_coefficient=30.0, anchor_tolerance=tolerance
    )
    assert held < some[1][-1] < free and some[1][-1] == pytest.approx(tolerance, rel=0.5)


@pytest.mark.parametrize("head", list(HEADS))
def test_any_split_of_the_batch_takes_the_same_steps(head: str, material: Any, tmp_path: Path) -> None:
    model, data = material[head]
    common = {"anchor_coefficient": 5.0, "anchor_tolerance": 0.001, "num_train_epochs": 1, "max_steps": -1}
    splits = [
        {"per_device_train_batch_size": 24, "layout": "padded"},
        {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 4},
        {"per_device_train_batch_size": 12, "gradient_accumulation_steps": 2, "max_tokens_per_batch": 80},
        {"per_device_train_batch_size": 24, "gradient_checkpointing": True},
    ]
    found = [train(head, model, tmp_path / str(n), data, **{**common, **split})[0] for n, split in enumerate(splits)]
    for steps in found[1:]:
        # 64 examples in batches of 24: the last one is ragged.
        assert len(steps) == 3
        torch.testing.assert_close(torch.tensor(steps), torch.tensor(found[0]), rtol=1e-4, atol=1e-5)


def test_evaluation_has_no_penalty_and_what_is_saved_no_copy(material: Any, tmp_path: Path) -> None:
    model, data = material["reward"]
    config = W2SRewardConfig(str(tmp_path), **{**COMMON, "max_steps": 2, "anchor_coefficient": 1e6})
    rows = datasets.Dataset.from_list(data)
    trainer = W2SRewardTrainer(model=model, args=config, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 2.0
    trainer.save_model(str(tmp_path / "saved"))
    names = AutoModelForSequenceClassification.from_pretrained(model).state_dict().keys()
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").state_dict().keys() == names
    assert trainer.model.state_dict().keys() == names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anchor_coefficient": -1.0}, "anchor_coefficient is -1.0; use 0 or more"),
        ({"anchor_coefficient": float("nan")}, "anchor_coefficient is nan"),
        ({"anchor_coefficient": 1.0, "anchor_tolerance": -0.1}, "anchor_tolerance is -0.1"),
        ({"anchor_tolerance": 0.1}, "does nothing without anchor_coefficient"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        W2SRewardConfig(str(tmp_path), **options)


def test_weights_that_are_spread_over_processes_cannot_be_copied(load: Load) -> None:
    model = load("reward")
    # While it lives, what is loaded is in parts.
    config = HfDeepSpeedConfig({"zero_optimization": {"stage": 3}})
    with pytest.raises(ConfigError, match="under ZeRO-3 no process has one; train with LoRA"):
        Anchor(HEADS["reward"], model, PAD)
    assert config.is_zero3()


def test_an_output_layer_that_is_an_adapter_is_refused(load: Load) -> None:
    adapted = get_peft_model(load("lm"), LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM"))
    with pytest.raises(ConfigError, match="leave the output layer out of lora_target_modules"):
        Anchor(HEADS["lm"], adapted, PAD)
