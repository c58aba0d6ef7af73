"""The part `policy:` of a recipe: what it plans, what changes a policy's hash, and all that may be wrong with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm.errors import ConfigError
from w2s_rm.experiment import policy_recipe
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.runs.launch import Launch, find_accelerate_config

RECIPE: dict[str, Any] = {
    "name": "policies",
    "task": {"name": "world_preference", "n_train": 200, "n_validation": 40, "n_test": 60},
    "weak": {"pretrain": {"hidden_size": 16}},
    "strong": {"pretrain": {"hidden_size": 32}},
    "methods": {"naive": {"loss": "cross_entropy"}, "logconf": {"loss": "log_confidence"}},
    "policy": {
        "pretrain": {"corpus": {"name": "answers"}},
        "max_completion_length": 2,
        "methods": {
            "dpo": {"train": {"beta": 0.2}},
            "long_rloo": {"trainer": "rloo", "train": {"num_generations": 4, "num_train_epochs": 3}},
        },
        "train": {"learning_rate": 1.0e-4},
    },
    "seeds": [0, 1],
}


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy with one value replaced, or removed where the new one is `...`."""
    head, _, rest = path.partition(".")
    copy = dict(value)
    if rest:
        copy[head] = changed(copy.get(head, {}), rest, new)
    elif new is ...:
        copy.pop(head)
    else:
        copy[head] = new
    return copy


def plan(folder: Path, *changes: tuple[str, Any]) -> Plan:
    recipe = RECIPE
    for path, new in changes:
        recipe = changed(recipe, path, new)
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return make_plan(load_recipe(folder / "recipe.yaml"), folder / "runs")


def policies(found: Plan) -> list[Any]:
    return [stage for stage in found.stages if stage.kind == "policy"]


def test_every_reward_model_gets_every_policy(tmp_path: Path) -> None:
    found = plan(tmp_path)
    roles = [(stage.of, stage.method, stage.policy, stage.seed) for stage in policies(found)]
    models = [("weak", None), ("student", "naive"), ("student", "logconf"), ("ceiling", None)]
    expected = {(*one, way, seed) for one in models for way in ("dpo", "long_rloo") for seed in (0, 1)}
    assert set(roles) == expected and len(roles) == len(expected)
    assert len({stage.folder for stage in policies(found)}) == len(expected)


def test_a_policy_reads_its_reward_model_and_prompts_that_no_model_has_seen(tmp_path: Path) -> None:
    found = plan(tmp_path)
    for stage in policies(found):
        (model,) = (one for one in found.stages if str(one.folder / "model") == stage.config()["reward_model"])
        assert (model.of, model.method, model.seed) == (stage.of, stage.method, stage.seed)
        assert stage.config()["prompts"].endswith("examples/validation.parquet")
        assert stage.config()["examples"].endswith("examples/test.parquet")
        assert stage.inputs["reward_model"] == f"{model.hash}/model"
    first, second = (next(one for one in policies(found) if one.policy == way) for way in ("dpo", "long_rloo"))
    assert first.config()["trainer"] == "dpo" and second.config()["trainer"] == "rloo"
    assert first.config()["train"]["beta"] == 0.2 and first.config()["train"]["learning_rate"] == 1e-4


def test_stages_come_after_what_they_read(tmp_path: Path) -> None:
    found, seen = plan(tmp_path), set()
    for stage in found.stages:
        if stage.kind == "policy":
            assert {needed.hash for needed in stage.needs} <= seen
        seen.add(stage.hash)


def test_a_step_of_a_policy_has_the_examples_of_all_processes(tmp_path: Path) -> None:
    one = policies(plan(tmp_path))[0]
    two = dataclasses.replace(one, launch=Launch(find_accelerate_config("cpu_ddp")))
    assert one.hash != two.hash and one.hash == dataclasses.replace(one, launch=Launch(gpus=1.0)).hash


@pytest.mark.parametrize(
    ("path", "new", "differs"),
    [
        ("policy.train.learning_rate", 2e-4, True),
        ("policy.train.per_device_train_batch_size", 4, True),
        ("policy.train.gradient_accumulation_steps", 4, True),
        ("policy.train.logging_steps", 7, False),
        ("policy.samples", 5, True),
        ("policy.max_completion_length", 3, True),
        ("policy.pretrain.seed", 1, True),
        ("policy.attn_implementation", "eager", True),
        ("train.learning_rate", 3e-5, True),
    ],
)
def test_what_a_policy_depends_on(tmp_path: Path, path: str, new: Any, differs: bool) -> None:
    before, after = ({stage.hash for stage in policies(plan(tmp_path / name, *change))} for name, change in (
        ("before", []), ("after", [(path, new)]),
    ))  # fmt: skip
    assert (before != after) is differs


def test_a_policy_changes_no_other_stage(tmp_path: Path) -> None:
    without = {stage.folder.name for stage in plan(tmp_path / "without", ("policy", ...)).stages}
    with_it = {stage.folder.name for stage in plan(tmp_path / "with").stages if stage.kind != "policy"}
    assert without < with_it and {name.split("-")[0] for name in with_it - without} == {"pretrain"}


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        ("policy.methods.dpo.train.betta", 1, r"line \d+: policy.methods.dpo.train.betta: unknown option of dpo; .*be"),
        ("policy.methods.dpo.train.beta", "high", "policy.methods.dpo.train.beta: 'high' is no float"),
        ("policy.methods.dpo.train.num_generations", 2, "num_generations: unknown option of dpo"),
        ("policy.methods.dpo.trainer", "dppo", "no policy trainer 'dppo'; did you mean 'ppo'"),
        ("policy.methods.dpo.train.optim", "adamw_torhc", "policy.methods.dpo.train.optim: 'adamw_torhc' is unknown"),
        ("policy.train.lr_scheduler_type", "cosin", "policy.train.lr_scheduler_type: 'cosin' is unknown; did you mean"),
        ("policy.methods.dpo.los", 1, "policy.methods.dpo.los: unknown key"),
        ("policy.methods", {}, "policy.methods: names no method"),
        ("policy.train.seed", 1, "policy.train.seed: is set by seeds"),
        ("policy.train.max_completion_length", 9, "is set by policy.max_completion_length"),
        ("policy.max_completion_length", ..., "policy.max_completion_length: is missing"),
        ("policy.samples", 0, "policy.samples: is 0; write a whole number"),
        ("policy.evaluations", "many", "policy.evaluations: is 'many'"),
        ("policy.model_name_or_path", "x/y", "give exactly one of model_name_or_path, pretrain"),
        ("policy.pretrain.stepps", 3, "policy.pretrain.stepps: unknown option of pretrain"),
        ("policy.sampels", 3, "policy.sampels: unknown key; .*samples"),
        ("task.n_validation", ..., "task.n_validation: a policy is trained on the prompts of the validation split"),
        ("task", {"name": "boolq", "n_validation": 5}, "task boolq cannot judge .*world_preference"),
        ("policy", 3, "policy: 3 is no mapping"),
    ],
)
def test_mistakes(tmp_path: Path, path: str, new: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(tmp_path, (path, new))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 mistakes"):
        plan(tmp_path, ("policy.samples", 0), ("policy.train.lerning_rate", 1), ("policy.evaluations", 0))


def test_a_policy_needs_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_recipe, "Verifiable", object)
    with pytest.raises(ConfigError, match="rewards come from head reward"):
        plan(tmp_path, ("task.name", "mate_in_one"), ("policy", RECIPE["policy"]))
