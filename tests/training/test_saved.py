"""A saved folder holds the model that was trained, and an adapter's is checked without its rounding."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from training_helpers import COMMON
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from trl import ModelConfig

from w2s_rm import W2SRewardConfig
from w2s_rm.errors import ArtifactError
from w2s_rm.heads import HEADS
from w2s_rm.heads.scores import keep_in_float32
from w2s_rm.training.modeling import load_model
from w2s_rm.training.saved import merge_adapter, verify_saved


def config(**options: Any) -> W2SRewardConfig:
    return W2SRewardConfig(tempfile.mkdtemp(), **{**COMMON, **options})


def saved_with_scores(folder: Path, source: str) -> tuple[dict[str, torch.Tensor], list[list[float]]]:
    """A saved model, a batch of six examples with one candidate each, and its scores."""
    model = AutoModelForSequenceClassification.from_pretrained(source)
    with torch.no_grad():
        model.score.weight.mul_(20)
    model.save_pretrained(folder)
    batch = {"input_ids": torch.randint(3, 60, (6, 9)), "attention_mask": torch.ones(6, 9, dtype=torch.long)}
    with torch.no_grad():
        scores_BK = model.eval()(**batch).logits
    return {**batch, "mask": torch.ones(6, 1, dtype=torch.bool)}, scores_BK.tolist()


def test_a_faithful_copy_passes_the_check(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    batch, expected = saved_with_scores(tmp_path, tiny_model())
    assert verify_saved("reward", tmp_path, batch, expected, torch.device("cpu"), bf16=False) <= 1e-5


@pytest.mark.parametrize("damage", ["one weight", "no head", "no scores"])
def test_a_model_that_changed_after_saving_fails_the_check(
    damage: str, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    batch, expected = saved_with_scores(tmp_path, tiny_model())
    tensors = load_file(tmp_path / "model.safetensors")
    if damage == "no head":
        del tensors["score.weight"]
    elif damage == "one weight":
        tensors["score.weight"][0, 0] += 0.01
    else:
        tensors["score.weight"].fill_(float("nan"))
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match="reloaded scores differ"):
        verify_saved("reward", tmp_path, batch, expected, torch.device("cpu"), bf16=False)


@pytest.mark.parametrize("head", ["classification", "lm"])
@pytest.mark.parametrize("damaged", [False, True])
def test_the_check_of_a_saved_model_reads_it_with_its_head(
    head: str, damaged: bool, tiny_language_model: Callable[..., str], tmp_path: Path
) -> None:
    model = load_model(
        head, ModelConfig(model_name_or_path=tiny_language_model(), dtype="float32"), config(), ["w3", "w4"]
    )
    model.config.pad_token_id = 0
    rows = [
        {"prompt_ids": [4, 5, number], "candidate_ids": [[7], [8, 9]], "targets": [1.0, 0.0]} for number in (6, 7, 8)
    ]
    batch = HEADS[head].collator(0, None)(rows)
    with torch.no_grad():
        expected = HEADS[head].score(model.eval(), batch).scores_BK.tolist()
        if damaged:
            (layer,) = HEADS[head].output_layers(model)
            layer.weight[:, 0] += 0.01 * torch.arange(len(layer.weight))
    model.save_pretrained(tmp_path)
    if damaged:
        with pytest.raises(ArtifactError, match="reloaded scores differ"):
            verify_saved(head, tmp_path, batch, expected, torch.device("cpu"), bf16=False)
    else:
        assert verify_saved(head, tmp_path, batch, expected, torch.device("cpu"), bf16=False) <= 1e-5


class Adapted:
    """A reward model with an adapter as large as its weights, saved, and its scores under bfloat16."""

    def __init__(self, folder: Path, source: str, dtype: str = "float32", padded: bool = False) -> None:
        self.model_args = ModelConfig(model_name_or_path=source, dtype=dtype)
        self.args = config(bf16=True)
        torch.manual_seed(0)
        targets = ["q_proj", "v_proj", "down_proj"]
        lora = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=64, target_modules=targets, init_lora_weights=False)
        model: Any = get_peft_model(load_model("reward", self.model_args, self.args), lora).eval()
        with torch.no_grad():
            # Large numbers that nearly cancel: a score of about 1 is the rest of many that are larger.
            model.base_model.model.score.weight.mul_(200)
        keep_in_float32(HEADS["reward"].output_layers(model))
        self.batch = {
            "input_ids": torch.randint(3, 60, (200, 9)),
            "attention_mask": torch.ones(200, 9, dtype=torch.long),
            "mask": torch.ones(200, 1, dtype=torch.bool),
        }
        if padded:
            pad = int(AutoTokenizer.from_pretrained(source).pad_token_id)
            self.batch["input_ids"][::2, 5:] = pad
            self.batch["attention_mask"][::2, 5:] = 0
            model.config.pad_token_id = model.base_model.model.config.pad_token_id = pad
        self.adapter, self.output = folder / "adapter", folder / "model"
        model.save_pretrained(self.adapter)
        AutoTokenizer.from_pretrained(source).save_pretrained(self.adapter)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            self.scores = HEADS["reward"].score(model, self.batch).scores_BK.tolist()

    def merge(self) -> tuple[list[list[float]], dict[str, float]]:
        return merge_adapter("reward", self.model_args, self.args, self.adapter, self.output, self.batch, self.scores)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_merged_adapter_that_rounds_otherwise_is_no_fault(
    dtype: str, tiny_model: Callable[..., str], tmp_path: Path
) -> None:
    adapted = Adapted(tmp_path, tiny_model(), dtype)
    merged, counts = adapted.merge()
    # Sizes of the case: rounding does move scores by more than is allowed between a model and its copy.
    assert counts["merge_difference"] > 5e-2 and counts["adapter_difference"] <= 5e-2
    assert verify_saved("reward", adapted.output, adapted.batch, merged, torch.device("cpu"), bf16=True) == 0
    saved = AutoModelForSequenceClassification.from_pretrained(adapted.output, dtype="auto")
    assert str(saved.dtype) == f"torch.{dtype}"


def test_an_adapter_that_changed_after_training_fails_the_check(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    adapted = Adapted(tmp_path, tiny_model())
    tensors = load_file(adapted.adapter / "adapter_model.safetensors")
    name = next(name for name in tensors if name.endswith("down_proj.lora_B.weight"))
    tensors[name].zero_()
    save_file(tensors, adapted.adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match="adapter: reloaded scores differ from those in training"):
        adapted.merge()
    assert not adapted.output.exists()


def test_a_merge_that_changes_what_the_model_computes_fails_the_check(
    tiny_model: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = Adapted(tmp_path, tiny_model())
    # The base without what was added to it: `unload` is what a merge is when it forgets to add.
    monkeypatch.setattr(PeftModel, "merge_and_unload", lambda self: self.unload(), raising=False)
    with pytest.raises(ArtifactError, match="merged into its base it scores otherwise"):
        adapted.merge()
    assert not adapted.output.exists()


def test_a_base_without_a_padding_token_is_given_the_adapters(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    """Rows of other lengths: what is scored is the last token before the padding, or nothing at all."""
    base = tmp_path / "base"
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model(), num_labels=1)
    model.config.pad_token_id = None
    model.save_pretrained(base)
    AutoTokenizer.from_pretrained(tiny_model()).save_pretrained(base)
    adapted = Adapted(tmp_path, str(base), padded=True)
    merged, _ = adapted.merge()
    assert verify_saved("reward", adapted.output, adapted.batch, merged, torch.device("cpu"), bf16=True) == 0


def test_an_attention_for_cards_alone_is_back_after_the_check(
    tiny_model: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = Adapted(tmp_path, tiny_model())
    chosen: list[str] = []
    choose = PreTrainedModel.set_attn_implementation
    monkeypatch.setattr(
        PreTrainedModel, "set_attn_implementation", lambda self, name: (chosen.append(name), choose(self, name))[1]
    )
    adapted.merge()
    # In float32, which flash attention does not take, and as it was trained again.
    assert chosen == ["sdpa", "sdpa"]


def test_an_adapter_around_the_unembedding_is_merged(tiny_language_model: Callable[..., str], tmp_path: Path) -> None:
    """While it stands there the layer is not known as one that computes in float32; what is saved is."""
    model_args, args = ModelConfig(model_name_or_path=tiny_language_model(), dtype="float32"), config(bf16=True)
    torch.manual_seed(0)
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["lm_head", "q_proj"], init_lora_weights=False)
    model: Any = get_peft_model(load_model("lm", model_args, args), lora).eval()
    rows = [{"prompt_ids": [4, 5, n], "candidate_ids": [[7], [8, 9]], "targets": [1.0, 0.0]} for n in (6, 7, 8)]
    batch = HEADS["lm"].collator(0, None)(rows)
    model.save_pretrained(tmp_path / "adapter")
    AutoTokenizer.from_pretrained(tiny_language_model()).save_pretrained(tmp_path / "adapter")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        trained = HEADS["lm"].score(model, batch).scores_BK.tolist()
    merged, _ = merge_adapter("lm", model_args, args, tmp_path / "adapter", tmp_path / "model", batch, trained)
    assert verify_saved("lm", tmp_path / "model", batch, merged, torch.device("cpu"), bf16=True) <= 1e-6
