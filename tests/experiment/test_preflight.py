"""What `run` finds in its first seconds about the models of a recipe, before any of them is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import check_before

LORA = "use_peft: true, lora_r: 2"


@pytest.fixture
def checked(recipe_file: Path, tiny_tokenizer: Callable[..., Any]) -> Callable[..., list[str]]:
    """Plan with overrides and check, as `run` does once the data is prepared; return the problems."""
    for name in ("weak", "strong"):
        tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / name)

    def check(*overrides: str, here: bool = True) -> list[str]:
        recipe = load_recipe(recipe_file, ["train.bf16=false", *overrides])
        plan = make_plan(recipe, recipe_file.parent / "runs")
        try:
            check_before(plan, [stage for stage in plan.stages if stage.loads_model], here)
        except ConfigError as error:
            heading, *lines = str(error).split("\n")
            assert heading == "the recipe cannot run here:"
            return [line.removeprefix("  - ") for line in lines]
        return []

    return check


def strong(recipe: Path, options: str) -> str:
    return f"strong={{model_name_or_path: {recipe.parent}/models/strong, {options}}}"


def test_nothing_is_wrong(checked: Callable[..., list[str]], recipe_file: Path) -> None:
    assert checked() == []
    assert checked(here=False) == []
    assert checked(strong(recipe_file, f"{LORA}, lora_target_modules: [q_proj, v_proj], dtype: bfloat16")) == []
    assert checked(strong(recipe_file, f"{LORA}, lora_target_modules: [all-linear]")) == []
    assert checked("strong.train.model_init_kwargs={num_hidden_layers: 2, device_map: null}") == []
    assert checked("train.lr_scheduler_type=cosine_with_min_lr", "train.lr_scheduler_kwargs={min_lr: 0}") == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (f"{LORA}, lora_target_modules: [q_prj, v_proj]", "lora_target_modules: 'q_prj' matches nothing in LlamaFor"),
        (f"{LORA}, lora_target_modules: [q_prj, v_proj]", "Classification; did you mean 'q_proj'?"),
        (f"{LORA}, lora_target_modules: [q_proj]", "alone it is a pattern of whole names, write '.*\\.q_proj'"),
        (f"{LORA}, lora_modules_to_save: [lm_head, score]", "lora_modules_to_save: 'lm_head' matches nothing"),
        ("train: {model_init_kwargs: {num_hidden_layer: 2}}", "has no 'num_hidden_layer' (did you mean 'num_hidden_l"),
        ("train: {model_init_kwargs: {num_hidden_layers: two}}", "expected int, got str (value: 'two')"),
        ("train: {model_init_kwargs: {attn_implementation: sdpaa}}", 'attn_implementation="sdpaa"` is not supported'),
        ("train: {eos_token: <end>}", "eos_token '<end>' is not in the vocabulary of the tokenizer of "),
        ("train: {pad_token: <fill>}", "pad_token '<fill>' is not in the vocabulary"),
        ("train: {pad_token: <fill>}", "its special tokens: '<eos>', '<unk>', '<pad>'"),
        ("train: {lr_scheduler_type: cosine_with_min_lr}", "train: lr_scheduler_type cosine_with_min_lr with "),
        ("train: {lr_scheduler_kwargs: {cycles: 2}}", "train: lr_scheduler_type linear with lr_scheduler_kwargs {'cy"),
        ("train: {fp16: true, bf16: true}", "train: At most one of fp16 and bf16 can be True"),
        ("load_in_4bit: true, load_in_8bit: true", "You can't use 8 bit and 4 bit precision at the same time"),
        ("load_in_4bit: true", "load_in_4bit needs bitsandbytes, which is not installed"),
    ],
)
def test_one_mistake_of_the_strong_model(
    checked: Callable[..., list[str]], recipe_file: Path, options: str, expected: str
) -> None:
    (found,) = checked(strong(recipe_file, options))
    assert found.startswith("strong: ") and expected in found


def test_all_models_in_one_message(checked: Callable[..., list[str]], recipe_file: Path) -> None:
    (recipe_file.parent / "models" / "strong" / "config.json").write_text(json.dumps({"model_type": "lama"}))
    found = checked("train.eos_token=<end>", "weak.use_peft=true", "weak.lora_target_modules=[c_attn, q_proj]")
    assert [line.split(": ")[0] for line in found] == ["weak", "weak", "strong", "strong"]
    assert "'c_attn' matches nothing" in found[1] and "no configuration loads from model_name_or_path" in found[3]


def test_a_shared_mistake_is_said_once(checked: Callable[..., list[str]]) -> None:
    (found,) = checked("train.model_init_kwargs={num_hidden_layer: 2}")
    assert found.startswith("weak, strong: model_init_kwargs: LlamaForSequenceClassification has no")


def test_a_model_that_is_pretrained_first(checked: Callable[..., list[str]]) -> None:
    small = "weak={pretrain: {corpus: {name: facts}}, use_peft: true, lora_target_modules: [q_prj, k_proj]}"
    (found,) = checked(small, "weak.train.model_init_kwargs={num_hidden_layers: 1}")
    assert found.startswith("weak: lora_target_modules: 'q_prj' matches nothing")


def test_an_encoder_is_no_language_model(checked: Callable[..., list[str]], recipe_file: Path) -> None:
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    shape = json.dumps({"model_type": "bert", **dict.fromkeys(sizes, 2)})
    (recipe_file.parent / "models" / "strong" / "config.json").write_text(shape)
    rows = [{"question": f"q{n}", "choices": [f"a{n}", f"b{n}"], "label": n % 2} for n in range(60)]
    file = recipe_file.parent / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = f"task={{name: multiple_choice, path: {file}, n_train: 8, n_test: 4}}"
    (found,) = checked(task, "head=lm")
    assert found.startswith("strong: ") and "reads in both directions and is no language model" in found


def test_a_policy(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
name: policies
task: {name: world_preference, n_train: 20, n_validation: 4, n_test: 6}
weak: {pretrain: {hidden_size: 16}}
strong: {pretrain: {hidden_size: 32}}
policy:
  pretrain: {corpus: {name: answers}}
  use_peft: true
  lora_target_modules: [q_prj, k_proj]
  max_completion_length: 2
  methods:
    rloo: {train: {num_generations: 3}}
    grpo: {train: {num_generations: 4, lr_scheduler_kwargs: {cycles: 2}}}
""",
        encoding="utf-8",
    )
    plan = make_plan(load_recipe(recipe), tmp_path / "runs")
    with pytest.raises(ConfigError) as caught:
        check_before(plan, [stage for stage in plan.stages if stage.loads_model])
    _, *found = str(caught.value).split("\n  - ")
    assert len(found) == 3
    assert "policy: trainer rloo: train: " in found[0] and "num_generations" in found[0]
    assert found[1].startswith(
        "policy: lora_target_modules: 'q_prj' matches nothing in LlamaForCausalLM; did you mean 'q_"
    )
    assert found[2].startswith("policy: train: lr_scheduler_type linear with lr_scheduler_kwargs {'cycles': 2}")


def test_layers_that_only_the_library_can_count(checked: Callable[..., list[str]], recipe_file: Path) -> None:
    """A configuration may call them otherwise: the plan, which reads the file alone, then does not know."""
    for name in ("weak", "strong"):
        GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=64).save_pretrained(recipe_file.parent / "models" / name)
    features = ("train.on=features", "train.l2=0.1")
    assert checked(*features, "train.layer=2") == []
    (found,) = checked(*features, "train.layer=3")
    assert found == "weak, strong: layer 3: GPT2ForSequenceClassification has 2; use 0 (the embeddings) to 2"
