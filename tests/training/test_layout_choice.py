"""Which layout a model gets, and that the reason is said."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaModel,
)
from trl import RewardConfig

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.heads.collation import PaddedCollator
from w2s_rm.training import layouts
from w2s_rm.training.layouts import Layout, choose_layout

SIZES: dict[str, Any] = {
    "vocab_size": 63,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "num_labels": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
CPU: dict[str, Any] = {"use_cpu": True, "bf16": False, "report_to": "none"}
LLAMA = "LlamaForSequenceClassification"


@pytest.fixture(autouse=True)
def said_anew() -> Iterator[None]:
    """A process says each choice once."""
    layouts._say.cache_clear()
    yield
    layouts._say.cache_clear()


def make(architecture: str, head: str = "reward", **options: Any) -> Any:
    torch.manual_seed(0)
    auto = AutoModelForCausalLM if head == "lm" else AutoModelForSequenceClassification
    return auto.from_config(AutoConfig.for_model(architecture, **{**SIZES, **options}), dtype=torch.float32)


def settings(layout: str = "auto", max_length: int | None = 64) -> W2SRewardConfig:
    return W2SRewardConfig("unused", layout=layout, max_length=max_length, **CPU)


def choose(model: Any, head: str = "reward", layout: str = "auto", max_length: int | None = 64) -> Layout:
    return choose_layout(HEADS[head], model, settings(layout, max_length))


FALLS_BACK: dict[str, tuple[str, dict[str, Any], str]] = {
    "encoder": ("bert", {}, "BertForSequenceClassification reads in both directions"),
    "encoder and decoder": ("t5", {"d_model": 32, "num_heads": 2, "d_kv": 16}, "T5.* has an encoder"),
    "bloom": ("bloom", {}, "BloomForSequenceClassification takes no position ids"),
    "mpt": ("mpt", {"d_model": 32, "n_heads": 2, "n_layers": 2}, "MptForSequenceClassification takes no position ids"),
    "falcon with ALiBi": ("falcon", {"alibi": True}, "FalconForSequenceClassification cannot read a mask of branches"),
    "window": ("mistral", {"sliding_window": 8}, "sees the last 8 tokens only, and rows may have 64 tokens"),
    "window in some layers": (
        "gemma3_text",
        {"sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"]},
        "sees the last 8 tokens only, and rows may have 64 tokens",
    ),
    "window along the row": (
        "gpt_neo",
        {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]], "window_size": 256},
        "GPTNeoForSequenceClassification (cannot read a mask of branches|gives other scores)",
    ),
    "linear attention": (
        "qwen3_next",
        {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16},
        "Qwen3NextForSequenceClassification has layers that are no plain attention: linear_attention",
    ),
    "no score layer": (
        "ctrl",
        {"n_embd": 32, "n_head": 2, "n_layer": 2, "dff": 64},
        "CTRLForSequenceClassification has neither a layer called score nor an unembedding",
    ),
    "decoder that reads in both directions": (
        "gemma3_text",
        {"use_bidirectional_attention": True},
        "Gemma3TextForSequenceClassification gives other scores with it",
    ),
}


@pytest.mark.parametrize("case", list(FALLS_BACK))
def test_models_that_cannot_share_prefixes_are_padded_and_the_reason_is_said(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    architecture, options, reason = FALLS_BACK[case]
    model = make(architecture, **options)
    forward = model.forward
    with caplog.at_level(logging.INFO, "w2s_rm"):
        layout = choose(model)
    assert layout.name == "padded"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and record.getMessage() == f"layout padded: {layout.reason}"
    # What the model is asked later is what it was made for.
    assert model.forward == forward
    with pytest.raises(ConfigError, match=f"^layout shared_prefix: .*{reason}.*; use layout auto or padded$"):
        choose(model, layout="shared_prefix")


@pytest.mark.parametrize(
    ("head", "architecture", "options"),
    [
        ("reward", "llama", {}),
        ("classification", "qwen3", {"num_labels": 7}),
        ("lm", "gpt2", {}),
        # Windows that no row leaves; nor does any row of trees, whose mask holds in these layers too.
        ("reward", "mistral", {"sliding_window": 64}),
        ("reward", "gemma3_text", {"sliding_window": 64}),
        ("reward", "mistral", {"sliding_window": None}),
        ("reward", "qwen2", {"sliding_window": 8, "use_sliding_window": False}),
        ("reward", "falcon", {"alibi": False}),
        ("reward", "gptj", {"n_embd": 32, "n_head": 2, "n_layer": 2, "rotary_dim": 8}),
        ("lm", "opt", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
        ("lm", "qwen3_moe", {"num_experts": 4, "moe_intermediate_size": 16, "num_experts_per_tok": 2}),
    ],
)
def test_decoders_share_prefixes_and_it_is_said_once(
    head: str, architecture: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = make(architecture, head, **options)
    with caplog.at_level(logging.INFO, "w2s_rm"):
        chosen = [choose(model, head), choose(model, head, layout="shared_prefix")]
    assert [layout.name for layout in chosen] == ["shared_prefix"] * 2
    (record,) = caplog.records
    name = type(model).__name__
    assert record.levelno == logging.INFO
    assert record.getMessage() == f"layout shared_prefix: {name} gives the same scores with it"


def test_without_a_limit_any_window_is_too_small() -> None:
    reason = choose(make("mistral", sliding_window=4096), max_length=None).reason
    assert "sees the last 4096 tokens only, and rows may have any number of tokens" in reason


def test_outputs_that_are_scaled_after_the_unembedding_are_seen() -> None:
    assert choose(make("granite", "lm", logits_scaling=1.0), "lm").name == "shared_prefix"
    for architecture, options in (("granite", {"logits_scaling": 4.0}), ("cohere", {}), ("gemma2", {})):
        layout = choose(make(architecture, "lm", **options), "lm")
        assert layout.name == "padded" and "gives other scores with it" in layout.reason, architecture


@pytest.mark.parametrize("attention", ["flash_attention_2", "paged|sdpa"])
def test_attention_without_masks_of_branches_is_named(attention: str) -> None:
    model = make("llama")
    # Set and not loaded: neither is installed everywhere.
    model.config._attn_implementation_internal = attention
    layout = choose(model)
    reason = f"attn_implementation {attention} takes no mask of branches; sdpa does"
    assert layout == Layout("padded", reason)


def test_the_configuration_may_ask_for_padding(caplog: pytest.LogCaptureFixture) -> None:
    model = make("llama")
    with caplog.at_level(logging.INFO, "w2s_rm"):
        layout = choose(model, layout="padded")
    assert layout == Layout("padded", "as the configuration says")
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_a_configuration_of_trl_means_auto() -> None:
    assert choose_layout(HEADS["reward"], make("llama"), RewardConfig("unused", **CPU)).name == "shared_prefix"


def test_settings_that_are_wrong_are_refused_together() -> None:
    with pytest.raises(ConfigError, match="layout is 'shared_prefx'.*shared_prefix.*max_tokens_per_batch is 0"):
        W2SRewardConfig("unused", layout="shared_prefx", max_tokens_per_batch=0, **CPU)


@pytest.mark.parametrize("kind", [PromptTuningConfig, PrefixTuningConfig])
def test_adapters_with_tokens_of_their_own_are_padded(kind: Any) -> None:
    model = get_peft_model(make("llama"), kind(task_type="SEQ_CLS", num_virtual_tokens=4))
    assert choose(model) == Layout("padded", "the adapter puts tokens of its own before the prompt")


def test_other_adapters_share_prefixes() -> None:
    assert choose(get_peft_model(make("llama"), LoraConfig(r=2, task_type="SEQ_CLS"))).name == "shared_prefix"


class Deaf(LlamaModel):
    """A decoder that takes all arguments and obeys most of them: what `config.deaf_to` names it does not hear."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None, **rest: Any) -> Any:
        part: Any = self.config.deaf_to
        if part == "position_ids":
            position_ids = None
        if attention_mask is not None and attention_mask.dim() == 4:
            if part == "branches":
                attention_mask = attention_mask.any(dim=2)[:, 0]
            elif part == "rows":
                attention_mask = attention_mask[:1].expand_as(attention_mask)
            elif part == "far":
                # As layers with a window of their own, along the row.
                attention_mask = attention_mask.triu(-13)
        return super().forward(input_ids, attention_mask, position_ids, **rest)


class DeafClassifier(LlamaForSequenceClassification):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Deaf(config)


@pytest.mark.parametrize("part", ["position_ids", "branches", "rows", "far"])
def test_a_model_that_silently_ignores_what_it_is_told_is_padded(part: str) -> None:
    model = DeafClassifier(LlamaConfig(**{**SIZES, "deaf_to": part}))
    layout = choose(model)
    assert layout.name == "padded" and "DeafClassifier gives other scores with it" in layout.reason
    with pytest.raises(ConfigError, match="DeafClassifier gives other scores"):
        choose(model, layout="shared_prefix")
    model.config.deaf_to = "nothing"
    assert choose(model).name == "shared_prefix"


@pytest.mark.parametrize("architecture", ["llama", "falcon"])
def test_the_choice_changes_nothing(architecture: str) -> None:
    options: dict[str, Any] = {"alibi": True} if architecture == "falcon" else {}
    model = make(architecture, **options).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    forward = model.forward
    config, states = model.config.to_dict(), (torch.get_rng_state(), random.getstate())
    choose(model)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert model.forward == forward and "forward" not in vars(model)
    assert model.training and model.config.to_dict() == config
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_the_choice_does_not_depend_on_the_state_of_chance_or_weights() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        model = make("llama")
        with torch.no_grad():
            model.score.weight.fill_(0.0 if seed else float("nan"))
        assert choose(model) == Layout("shared_prefix", f"{LLAMA} gives the same scores with it")


@pytest.mark.parametrize(("trainer_class", "head"), [(W2SRewardTrainer, {}), (W2STrainer, {"head": "lm"})])
def test_a_given_collator_keeps_rows_padded(
    trainer_class: Any, head: dict[str, str], tiny_language_model: Callable[..., str], tmp_path: Path
) -> None:
    row = {"prompt_ids": [5, 6], "candidate_ids": [[7], [8, 9]], "targets": [1.0, 0.0], "id": "a"}
    args = W2SRewardConfig(str(tmp_path), **CPU)
    data, folder, collator = datasets.Dataset.from_list([row] * 4), tiny_language_model(), PaddedCollator(0)
    trainer = trainer_class(model=folder, args=args, train_dataset=data, data_collator=collator, **head)
    assert trainer.layout == Layout("padded", "a data collator is given") and trainer.data_collator is collator
    assert trainer_class(model=folder, args=args, train_dataset=data, **head).layout.name == "shared_prefix"
