"""Models that are pretrained by seed: each repetition starts from models of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.pretrain import Pretrain
from w2s_rm.stages.train import Train
from w2s_rm.training.pretraining import pretrained_by

CORPUS = {"name": "chess_endgames"}
RECIPE = {
    "name": "by_seed",
    "task": {"name": "mate_in_one", "n_examples": 400, "n_train": 200, "n_test": 50},
    "head": "lm",
    "weak": {"pretrain": {"corpus": CORPUS, "hidden_size": 16, "steps": 3, "seed": "by_seed"}},
    "strong": {"pretrain": {"corpus": CORPUS, "hidden_size": 32, "steps": 3, "seed": "by_seed"}},
    "train": {"bf16": False},
    "seeds": [4, 5],
}


def planned(folder: Path, *overrides: str) -> Plan:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False), encoding="utf-8")
    return make_plan(load_recipe(path, overrides), folder / "runs")


def pretrained(plan: Plan) -> dict[tuple[str | None, int], str]:
    made = [stage for stage in plan.stages if isinstance(stage, Pretrain)]
    return {(stage.part, stage.pretrain["seed"]): stage.hash for stage in made}


def starts(plan: Plan) -> dict[tuple[str | None, str | None, int | None], int]:
    """By role and seed the seed of the pretrained model that a stage begins with."""
    found = {}
    for stage in plan.stages:
        if isinstance(stage, Train) or (isinstance(stage, Evaluate) and stage.of == "zero_shot"):
            reference = stage.model_name_or_path
            assert reference is not None and isinstance(reference.maker, Pretrain)
            found[stage.kind, stage.of, stage.seed] = reference.maker.pretrain["seed"]
    return found


def test_each_seed_has_models_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert set(pretrained(plan)) == {(part, seed) for part in ("weak", "strong") for seed in (4, 5)}
    assert len(set(pretrained(plan).values())) == 4
    roles = [("train", "weak"), ("train", "student"), ("train", "ceiling"), ("evaluate", "zero_shot")]
    assert starts(plan) == {(*role, seed): seed for role in roles for seed in (4, 5)}


def test_they_are_those_of_a_recipe_that_names_the_seed(tmp_path: Path) -> None:
    by_seed, named = (
        planned(tmp_path, "seeds=[5]"),
        planned(tmp_path, "seeds=[5]", *(f"{part}.pretrain.seed=5" for part in ("weak", "strong"))),
    )
    assert [stage.hash for stage in by_seed.stages] == [stage.hash for stage in named.stages]
    # What a seed has does not depend on which others there are.
    both = planned(tmp_path)
    assert {stage.hash for stage in by_seed.stages} <= {stage.hash for stage in both.stages}
    assert {stage.hash for stage in both.stages} == {stage.hash for stage in planned(tmp_path, "seeds=[5, 4]").stages}


def test_one_of_two_models_by_seed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "strong.pretrain.seed=9")
    assert set(pretrained(plan)) == {("weak", 4), ("weak", 5), ("strong", 9)}
    # One strong model before any training is scored once, for all seeds.
    assert [key for key in starts(plan) if key[1] == "zero_shot"] == [("evaluate", "zero_shot", None)]


def test_only_a_seed_may_be_by_seed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="weak.pretrain.seed: 'by_sed' is no int"):
        planned(tmp_path, "weak.pretrain.seed=by_sed")
    with pytest.raises(ConfigError, match="weak.pretrain.steps: 'by_seed' is no int"):
        planned(tmp_path, "weak.pretrain.steps=by_seed")
    assert pretrained_by({"steps": 3}, 7) == {"steps": 3}
    assert pretrained_by({"seed": "by_seed"}, 7) == {"seed": 7} and pretrained_by({"seed": 2}, 7) == {"seed": 2}
