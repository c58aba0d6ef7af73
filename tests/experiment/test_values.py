"""Values of options that no run could use are found when the recipe is read, with a remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import SchedulerType
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.training_args import OptimizerNames

from w2s_rm import catalog
from w2s_rm.errors import ConfigError
from w2s_rm.experiment import values
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.values import value_problems


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("anchor_coefficient", -1, "is -1; use 0 or more"),
        ("anchor_tolerance", -0.5, "is -0.5; use 0 or more"),
        ("layout", "sharedprefix", "did you mean 'shared_prefix'"),
        ("dtype", "bf16", "did you mean|known: auto"),
        ("dtype", "float23", "did you mean 'float32'"),
        ("attn_implementation", "flash_attention", "did you mean 'flash_attention_[23]'"),
        ("attn_implementation", "flash_attention_2", "needs the package flash_attn"),
        ("attn_implementation", "kernels-community/flash-attn", "needs the package kernels"),
        ("optim", "adamw", "is unknown"),
        ("optim", "adamw_8bit", "needs the package bitsandbytes"),
        ("optim", "galore_adamw_layerwise", "needs the package galore_torch"),
        ("lr_scheduler_type", "cosin", "did you mean 'cosine'"),
        ("save_strategy", "sometimes", "known: .*epoch"),
        ("logging_strategy", "step", "did you mean 'steps'"),
        ("report_to", "wandb", "needs the package wandb"),
        ("report_to", ["tensorboard", "mlfow"], "did you mean 'mlflow'"),
        ("eval_strategy", "steps", "stages of their own"),
        ("load_best_model_at_end", True, "stages of their own"),
        ("chat_template_path", "missing/chat.jinja", "no such file"),
        ("learning_rate", float("nan"), "is nan; use a finite number"),
        ("learning_rate", float("inf"), "is inf; use a finite number"),
        ("learning_rate", -1e-4, "is -0.0001; use 0 or more"),
        ("num_train_epochs", 0, "is 0; use a number above 0"),
        ("num_train_epochs", -1.0, "is -1.0; use a number above 0"),
        ("max_steps", 0, "is 0; use 1 or more, or leave it out"),
        ("per_device_train_batch_size", 0, "is 0; use 1 or more"),
        ("max_length", -4, "is -4; use 1 or more"),
    ],
)
def test_values_that_no_run_could_use(
    option: str, value: object, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    present = values._missing

    def missing(package: str) -> bool:
        return package != "tensorboard" or present(package)

    monkeypatch.setattr(values, "_missing", missing)
    ((name, text),) = value_problems({"learning_rate": 1.0, "num_train_epochs": 2, option: value})
    assert name == option
    assert re.search(message, text), text


def test_values_that_are_fine(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").touch()
    fine = {
        "layout": "padded",
        "dtype": "bfloat16",
        "attn_implementation": "sdpa",
        "optim": "adamw_torch_fused",
        "lr_scheduler_type": "cosine",
        "report_to": ["tensorboard", "none"],
        "eval_strategy": "no",
        "chat_template_path": str(tmp_path / "chat.jinja"),
        "max_grad_norm": float("inf"),
    }
    assert list(value_problems(fine)) == []
    assert list(value_problems(dict.fromkeys(fine))) == [], "null is the default"
    assert list(value_problems({"chat_template_path": "Qwen/Qwen2.5-0.5B"})) == []


def test_the_words_are_those_of_the_libraries() -> None:
    assert set(values._enumeration("transformers", "training_args.py", "OptimizerNames")) == {*OptimizerNames}
    assert set(values._enumeration("transformers", "trainer_utils.py", "SchedulerType")) == {*SchedulerType}
    assert set(values._TRACKERS) == set(INTEGRATION_TO_CALLBACK)


@pytest.mark.parametrize("name", catalog.names("losses"))
def test_no_loss_needs_torch_to_say_what_its_options_are(name: str) -> None:
    build = f"from w2s_rm import catalog; catalog.lookup('losses', {name!r})()"
    code = f"{build}; import sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_recipe_names_the_line(recipe_file: Path) -> None:
    text = recipe_file.read_text(encoding="utf-8")
    text = text.replace("max_weight: 0.5", "max_weight: 7").replace("  learning_rate: 1e-5", "  layout: sharedprefix")
    recipe_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_recipe(recipe_file)
    message = str(error.value)
    assert "line 10: methods.logconf.loss.max_weight: is 7; give a number in [0, 1]" in message
    assert "line 13: train.layout: 'sharedprefix' is unknown; did you mean 'shared_prefix'?" in message
