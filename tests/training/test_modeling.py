"""Reward models come in as the recipe says and go out so that plain transformers gives the same scores."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from training_helpers import COMMON
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from trl import ModelConfig

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.data.examples import write_examples
from w2s_rm.errors import ArtifactError, ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.stages.train import Train
from w2s_rm.training.modeling import load_model, load_tokenizer, peft_config
from w2s_rm.types import Example

OPTIONS: dict[str, Any] = {**COMMON, "learning_rate": 1e-2}


def config(**options: Any) -> W2SRewardConfig:
    return W2SRewardConfig(tempfile.mkdtemp(), **{**OPTIONS, **options})


def plain_scores(model: Any, tokenizer: Any, rows: list[dict[str, Any]], side: str) -> torch.Tensor:
    """Score as a user does who knows transformers only: text in, padded by the tokenizer, one score a row."""
    eos = "" if tokenizer.eos_token is None else tokenizer.eos_token
    texts = [row["prompt"] + row[name] + eos for row in rows for name in ("chosen", "rejected")]
    inputs = tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        return model.eval()(**inputs).logits.squeeze(-1)


def scores_in_training(trainer: W2SRewardTrainer, rows: list[dict[str, Any]]) -> torch.Tensor:
    data = datasets.Dataset.from_list(rows)
    encoded = trainer._prepare_dataset(data, trainer.processing_class, trainer.args, "probe")
    return torch.as_tensor(trainer.predict(encoded).predictions).flatten()


def assert_same_scores(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0.02, "scores that are all alike prove nothing"
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
@pytest.mark.parametrize(
    ("architecture", "sides"),
    [
        ("llama", ["right", "left"]),
        ("qwen2", ["right", "left"]),
        # GPT-2 and BERT learn a vector for each absolute position, and BERT's head reads the first token: shifted by
        # padding on the left they are given another input, in plain transformers too.
        ("gpt2", ["right"]),
        ("bert", ["right"]),
    ],
)
def test_a_saved_model_scores_as_in_training(
    architecture: str,
    sides: list[str],
    pad: str,
    tiny_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
    pairs: Callable[..., Any],
    tmp_path: Path,
) -> None:
    trainer = W2SRewardTrainer(
        model=tiny_model(architecture, pad),
        args=config(max_steps=6),
        train_dataset=datasets.Dataset.from_list(pairs(64)),
        processing_class=tiny_tokenizer(pad=pad),
    )
    trainer.train()
    test_rows = pairs(20, seed=1)
    expected = scores_in_training(trainer, test_rows)
    trainer.save_model(str(tmp_path))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    # Not AutoTokenizer: it takes any tokenizer of a Qwen2 folder for Qwen2's own.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert tokenizer.pad_token == pad
    assert model.config.pad_token_id == tokenizer.pad_token_id
    for side in sides:
        assert_same_scores(plain_scores(model, tokenizer, test_rows, side), expected)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., str]) -> str:
    """A model without a score head, as users start from."""
    source = tiny_model()
    folder = tmp_path_factory.mktemp("language_model")
    model = AutoModelForCausalLM.from_pretrained(source)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return str(folder)


def run_train_stage(folder: Path, model: str, rows: list[dict[str, Any]], **options: Any) -> Path:
    """Run the stage as the command line does, in this process, and return its folder."""
    examples = [Example(row["id"], row["prompt"], row["prompt"], (row["chosen"], row["rejected"]), 0) for row in rows]
    write_examples(folder / "examples.parquet", examples)
    content = {
        "stage": "train",
        "of": "weak",
        "examples": str(folder / "examples.parquet"),
        "model_name_or_path": model,
    }
    (folder / "stage.yaml").write_text(yaml.safe_dump({**content, **OPTIONS, **options}), encoding="utf-8")
    Train.run(["--config", str(folder / "stage.yaml"), "--output_dir", str(folder / "out")])
    return folder / "out"


def test_the_train_stage_leaves_a_plain_model(language_model: str, pairs: Callable[..., Any], tmp_path: Path) -> None:
    out = run_train_stage(tmp_path, language_model, pairs(64), num_train_epochs=4)
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["reload_difference"] <= 1e-5
    assert counts["steps"] == 32
    model = AutoModelForSequenceClassification.from_pretrained(out / "model")
    scores = plain_scores(model, AutoTokenizer.from_pretrained(out / "model"), pairs(40, seed=1), "left").view(-1, 2)
    assert (scores[:, 0] > scores[:, 1]).float().mean() > 0.9
    assert not list(out.rglob("*.bin"))


def test_the_train_stage_refuses_to_finish_with_another_model(
    language_model: str, pairs: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = W2SRewardTrainer.save_model

    def save_without_training(self: W2SRewardTrainer, folder: str) -> None:
        with torch.no_grad():
            self.model.score.weight.mul_(2.0)
        save(self, folder)

    monkeypatch.setattr(W2SRewardTrainer, "save_model", save_without_training)
    with pytest.raises(ArtifactError, match="differ"):
        run_train_stage(tmp_path, language_model, pairs(64), num_train_epochs=4)
    assert not (tmp_path / "out" / "manifest.json").exists() and not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_lora_saves_adapter_and_merged_model_with_the_trained_head(
    architecture: str, language_model: str, tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    base = language_model if architecture == "llama" else tiny_model("bert")
    out = run_train_stage(tmp_path, base, pairs(64), use_peft=True, lora_r=4, num_train_epochs=2)
    head = "score.weight" if architecture == "llama" else "classifier.weight"
    saved = load_file(out / "adapter" / "adapter_model.safetensors")
    (saved_head,) = [tensor for name, tensor in saved.items() if name.endswith(head)]
    model_args = ModelConfig(model_name_or_path=base, dtype="float32")
    start = load_model("reward", model_args, config()).get_parameter(head)
    # Not merely saved: trained. 16 steps of Adam at 1e-2 move a weight by more than 1e-2.
    assert (saved_head - start).abs().max() > 1e-2

    test_rows = pairs(20, seed=1)
    merged = AutoModelForSequenceClassification.from_pretrained(out / "model")
    tokenizer = load_tokenizer(str(out / "model"))
    assert not any("lora" in name for name, _ in merged.named_parameters())
    torch.testing.assert_close(merged.get_parameter(head), saved_head)
    # Another seed draws another head for the base; the adapter must bring its own.
    other = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    other.config.pad_token_id = tokenizer.pad_token_id
    adapted = PeftModel.from_pretrained(other, str(out / "adapter"))
    expected = plain_scores(merged, tokenizer, test_rows, "right")
    assert_same_scores(plain_scores(adapted, tokenizer, test_rows, "right"), expected)


def test_without_peft_there_is_no_adapter() -> None:
    assert peft_config("reward", ModelConfig(use_peft=False)) is None


def test_a_new_head_depends_on_the_seed_alone(language_model: str) -> None:
    heads = []
    for noise, seed in ((1, 7), (2, 7), (1, 8)):
        torch.manual_seed(noise)
        model = load_model("reward", ModelConfig(model_name_or_path=language_model, dtype="float32"), config(seed=seed))
        heads.append(model.score.weight.detach())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    # Llama's initializer_range is 0.02.
    assert 0.01 < heads[0].std() < 0.03


def test_a_trained_head_is_kept(tiny_model: Callable[..., str]) -> None:
    folder = tiny_model()
    model = load_model("reward", ModelConfig(model_name_or_path=folder, dtype="float32"), config())
    assert torch.equal(model.score.weight, load_file(Path(folder) / "model.safetensors")["score.weight"])


def test_weights_that_are_no_safetensors_are_refused(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model())
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="no reward model with one output loads.*safetensors"):
        load_model("reward", ModelConfig(model_name_or_path=str(tmp_path), dtype="float32"), config())


def test_a_head_with_several_outputs_is_refused(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    AutoModelForSequenceClassification.from_pretrained(
        tiny_model(), num_labels=3, ignore_mismatched_sizes=True
    ).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"one output: score.weight is \[3, 32\], not \[1, 32\]"):
        load_model("reward", ModelConfig(model_name_or_path=str(tmp_path), dtype="float32"), config())


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(ConfigError, match="no reward model with one output loads from model_name_or_path .*missing"):
        load_model("reward", ModelConfig(model_name_or_path=missing), config())
    with pytest.raises(ConfigError, match="no tokenizer loads from model_name_or_path .*missing"):
        load_tokenizer(missing)


CUSTOM_MODEL = """
import pathlib
from transformers import LlamaForSequenceClassification
(pathlib.Path({marker!r})).touch()
class Custom(LlamaForSequenceClassification):
    pass
"""


def test_code_that_comes_with_a_model_runs_only_when_asked(
    tiny_model: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    marker, folder = tmp_path / "ran", tmp_path / "custom_model"
    AutoModelForSequenceClassification.from_pretrained(tiny_model()).save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"auto_map": {"AutoModelForSequenceClassification": "code.Custom"}}
    (folder / "code.py").write_text(CUSTOM_MODEL.format(marker=str(marker)))
    (folder / "config.json").write_text(json.dumps(settings))
    model_args = ModelConfig(model_name_or_path=str(folder), dtype="float32")
    assert type(load_model("reward", model_args, config())).__name__ == "LlamaForSequenceClassification"
    assert not marker.exists()
    assert type(load_model("reward", model_args, config(trust_remote_code=True))).__name__ == "Custom"
    assert marker.exists()


def test_a_model_that_exists_only_as_code_needs_trust(tmp_path: Path) -> None:
    settings = {
        "model_type": "custom",
        "auto_map": {"AutoConfig": "code.C", "AutoModelForSequenceClassification": "code.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="trust_remote_code"):
        load_model("reward", ModelConfig(model_name_or_path=str(tmp_path)), config())


def test_a_tokenizer_without_pad_and_eos_is_refused(tiny_tokenizer: Callable[..., Any], tmp_path: Path) -> None:
    tiny_tokenizer(pad=None, eos=None).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="neither a pad nor an eos token.*set one"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_without_pad_uses_eos(tiny_tokenizer: Callable[..., Any], tmp_path: Path) -> None:
    tiny_tokenizer(pad=None).save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).pad_token == "<eos>"


@pytest.mark.parametrize("option", ["load_in_4bit", "load_in_8bit"])
def test_quantization_without_its_package_is_refused_before_anything_loads(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2s_rm.training.modeling.importlib.util.find_spec", lambda name: None)
    # The folder does not exist: the message is about the package all the same.
    model_args = ModelConfig(model_name_or_path=str(tmp_path / "missing"), use_peft=True, **{option: True})
    with pytest.raises(ConfigError, match=rf"{option} needs bitsandbytes.*pip install 'w2s-rm\[qlora\]'"):
        load_model("reward", model_args, config())


CLASSES = (" w3", " w4 w5")


def questions(count: int, seed: int = 0) -> list[Example]:
    """Texts whose last word tells the class."""
    generator, examples = random.Random(seed), []
    for number in range(count):
        gold = generator.randrange(2)
        prompt = " ".join([*generator.choices([f"w{k}" for k in range(10, 60)], k=generator.randint(1, 9)), f"w{gold}"])
        examples.append(Example(f"question{number}", prompt, prompt, CLASSES, gold))
    return examples


def run_label_stage(folder: Path, model: str, head: str, **options: Any) -> Path:
    """Run the train stage of the setting classification in this process, and return its folder."""
    write_examples(folder / "examples.parquet", questions(64))
    content = {
        "stage": "train",
        "of": "weak",
        "setting": "classification",
        "head": head,
        "classes": list(CLASSES),
        "examples": str(folder / "examples.parquet"),
        "model_name_or_path": model,
    }
    (folder / "stage.yaml").write_text(yaml.safe_dump({**content, **OPTIONS, **options}), encoding="utf-8")
    Train.run(["--config", str(folder / "stage.yaml"), "--output_dir", str(folder / "out")])
    return folder / "out"


def plain_accuracy(head: str, folder: Path, model: Any = None) -> float:
    """Accuracy of a saved model, as a user finds it who knows transformers only; one text at a time."""
    tokenizer = load_tokenizer(str(folder))
    model = (model or HEADS[head].auto_class.from_pretrained(folder)).eval()
    right = 0
    for example in questions(40, seed=1):
        prompt = tokenizer(example.prompt)["input_ids"]
        with torch.no_grad():
            if head == "classification":
                scores = model(torch.tensor([prompt])).logits[0].tolist()
            elif head == "reward":
                texts = [f"{example.prompt}{candidate}<eos>" for candidate in CLASSES]
                scores = [model(torch.tensor([tokenizer(text)["input_ids"]])).logits.item() for text in texts]
            else:
                scores = []
                for candidate in CLASSES:
                    ids = tokenizer(candidate)["input_ids"]
                    log_probs_TV = model(torch.tensor([prompt + ids])).logits[0].log_softmax(dim=-1)
                    scores.append(sum(float(log_probs_TV[len(prompt) - 1 + t, token]) for t, token in enumerate(ids)))
        right += scores.index(max(scores)) == example.gold
    return right / 40


@pytest.mark.parametrize("head", ["classification", "reward", "lm"])
@pytest.mark.parametrize("lora", [False, True])
def test_the_train_stage_leaves_a_plain_model_of_every_head(
    head: str, lora: bool, tiny_language_model: Callable[..., str], tmp_path: Path
) -> None:
    language_model = tiny_language_model()
    options = {"use_peft": True, "lora_r": 4, "learning_rate": 3e-2} if lora else {}
    out = run_label_stage(tmp_path, language_model, head, num_train_epochs=6, **options)
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["reload_difference"] <= 1e-5 and counts["steps"] == 48
    assert plain_accuracy(head, out / "model") > 0.9
    assert (out / "adapter").is_dir() == lora and not list(out.rglob("*.bin"))
    names = json.loads((out / "model" / "config.json").read_text()).get("id2label")
    assert names == {"0": "w3", "1": "w4 w5"} or head != "classification"
    if not lora:
        return
    saved = load_file(out / "adapter" / "adapter_model.safetensors")
    assert any(name.endswith("score.weight") for name in saved) == (head != "lm")
    # Another seed draws another head for the base; the adapter must bring its own.
    other = load_model(head, ModelConfig(model_name_or_path=language_model, dtype="float32"), config(seed=9), CLASSES)
    other.config.pad_token_id = 0
    assert plain_accuracy(head, out / "adapter", PeftModel.from_pretrained(other, str(out / "adapter"))) > 0.9


@pytest.mark.parametrize("head", ["classification", "lm"])
def test_the_train_stage_refuses_to_finish_with_another_model_of_any_head(
    head: str, language_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = W2STrainer.save_model

    def save_without_training(self: W2STrainer, folder: str) -> None:
        with torch.no_grad():
            (layer,) = HEADS[head].output_layers(self.model)
            layer.weight.mul_(2.0)
        save(self, folder)

    monkeypatch.setattr(W2STrainer, "save_model", save_without_training)
    with pytest.raises(ArtifactError, match="differ"):
        run_label_stage(tmp_path, language_model, head, num_train_epochs=3)
    assert not (tmp_path / "out" / "manifest.json").exists() and not (tmp_path / "out" / "model").exists()


def test_under_bf16_the_check_keeps_log_probabilities_in_float32(language_model: str, tmp_path: Path) -> None:
    # Logits of some 400 come in steps of 2 in bfloat16; the rest of the model rounds its input to the layer alike.
    model: Any = AutoModelForCausalLM.from_pretrained(language_model)
    with torch.no_grad():
        model.lm_head.weight.mul_(1000.0)
    loud = tmp_path / "loud"
    model.save_pretrained(loud)
    AutoTokenizer.from_pretrained(language_model).save_pretrained(loud)
    out = run_label_stage(tmp_path, str(loud), "lm", max_steps=1, bf16=True, learning_rate=1e-6)
    assert json.loads((out / "manifest.json").read_text())["counts"]["reload_difference"] <= 1e-4


def lm_refusal(folder: str | Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load_model("lm", ModelConfig(model_name_or_path=str(folder), dtype="float32"), config())
    return str(raised.value)


def test_an_encoder_is_no_language_model(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    message = lm_refusal(tiny_model("bert"))
    assert "is no language model, head lm needs one" in message and "cls.predictions" in message
    # One that was trained to fill gaps has all the weights, and would see the tokens that it is to predict.
    AutoModelForMaskedLM.from_pretrained(tiny_model("bert")).save_pretrained(tmp_path)
    message = lm_refusal(tmp_path)
    assert "reads in both directions" in message and "use head classification or reward" in message


def test_half_a_model_is_no_language_model(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    AutoModel.from_pretrained(tiny_model()).save_pretrained(tmp_path)
    assert "no weights for lm_head.weight" in lm_refusal(tmp_path)
    assert "no language model loads from model_name_or_path" in lm_refusal(tmp_path / "missing")


def test_a_model_without_position_ids_is_refused(tiny_tokenizer: Callable[..., Any], tmp_path: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    BloomForCausalLM(BloomConfig(vocab_size=63, hidden_size=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    assert "BloomForCausalLM takes no position_ids" in lm_refusal(tmp_path)


def test_a_head_with_other_outputs_is_no_classifier(tiny_model: Callable[..., str]) -> None:
    # A trained reward model has one output, the task two classes.
    with pytest.raises(ConfigError, match=r"does not fit a classifier: score.weight is \[1, 32\], not \[2, 32\]"):
        load_model("classification", ModelConfig(model_name_or_path=tiny_model(), dtype="float32"), config(), CLASSES)


@pytest.mark.parametrize("head", ["classification", "lm"])
def test_loading_is_the_same_for_every_seed_but_for_new_weights(head: str, language_model: str) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed + 100)
        model_args = ModelConfig(model_name_or_path=language_model, dtype="float32")
        return dict(load_model(head, model_args, config(seed=seed), CLASSES).state_dict())

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    changed = {name for name in first if not torch.equal(first[name], other[name])}
    assert changed == ({"score.weight"} if head == "classification" else set())


def test_an_attention_that_is_not_installed_is_named(tiny_model: Callable[..., str]) -> None:
    model_args = ModelConfig(model_name_or_path=tiny_model(), attn_implementation="flash_attention_2")
    with pytest.raises(ConfigError, match=r"loads from .*[Ff]lash"):
        load_model("reward", model_args, config())
