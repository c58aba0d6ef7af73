"""A recipe that supervisors of all kinds can be planned in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from planning_helpers import SHAPE, make_recipe, recipe_file

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.open_route import open_route
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.route import Route
from w2s_rm.stages import Stage

__all__ = ["make_recipe", "recipe_file"]


@dataclass(frozen=True)
class Bench:
    """Plans a recipe with the method `naive` and, beside it, the method `own` with a supervisor of its own."""

    recipe: Path

    def plan(self, *overrides: str) -> Plan:
        return make_plan(load_recipe(self.recipe, overrides), self.recipe.parent / "runs")

    def route(self, *overrides: str) -> Route:
        return open_route(load_recipe(self.recipe, overrides), self.recipe.parent / "runs")

    def own(self, name: str, *overrides: str, **options: Any) -> Plan:
        return self.plan(f"methods.own.supervisor={json.dumps({'name': name, **options})}", *overrides)

    def added(self, name: str, *overrides: str, **options: Any) -> list[str]:
        """Titles of the stages before the student that a plan has for the supervisor, in their order."""
        plain = {stage.folder for stage in self.plan(*overrides, "methods.own=null").stages}
        stages = self.own(name, *overrides, **options).stages
        return [one.title for one in stages if one.folder not in plain and one.of != "student"]

    def changed(self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
        """Kinds of the stages of `own` that have another folder with other options; how many there are stays."""
        one, other = self.own(name, **before).stages, self.own(name, **after).stages
        assert [stage.title for stage in one] == [stage.title for stage in other]
        pairs = zip(one, other, strict=True)
        return {" ".join(filter(None, (a.kind, a.note))) for a, b in pairs if a.folder != b.folder}

    def refused(self, name: str, *overrides: str, **options: Any) -> str:
        """The message with which a supervisor, written into the file, is refused; it names the line."""
        content = yaml.safe_load(self.recipe.read_text(encoding="utf-8"))
        content["methods"]["own"]["supervisor"] = {"name": name, **options}
        path = self.recipe.with_name("refused.yaml")
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        lines = path.read_text(encoding="utf-8").splitlines()
        line = lines.index("  own:") + 1
        with pytest.raises(ConfigError) as caught:
            make_plan(load_recipe(path, overrides), path.parent / "runs")
        message = str(caught.value)
        assert any(f"line {number}: methods.own" in message for number in range(line, len(lines) + 1)), message
        return message

    def only(self, plan: Plan, **wanted: Any) -> Stage:
        """The one stage of a plan with such fields."""
        (found,) = self.some(plan, **wanted)
        return found

    def some(self, plan: Plan, **wanted: Any) -> Iterator[Stage]:
        for stage in plan.stages:
            if all(getattr(stage, name) == value for name, value in wanted.items()):
                yield stage


@pytest.fixture
def bench(recipe_file: Path) -> Bench:
    """Models of one, two and three layers: `weak`, `medium`, `strong`."""
    folder = recipe_file.parent
    for layers, name in enumerate(("weak", "medium", "strong"), start=1):
        (folder / "models" / name).mkdir(exist_ok=True)
        shape = {**SHAPE, "num_hidden_layers": layers}
        (folder / "models" / name / "config.json").write_text(json.dumps(shape), encoding="utf-8")
        (folder / "models" / name / "model.safetensors").write_text(f"weights of {name}", encoding="utf-8")
    content = yaml.safe_load(recipe_file.read_text(encoding="utf-8"))
    content["task"] |= {"n_train": 24, "n_validation": 4}
    content["models"] = {"medium": {"model_name_or_path": str(folder / "models" / "medium")}}
    content["methods"] = {
        "naive": {"loss": "cross_entropy"},
        "own": {"loss": {"name": "log_confidence", "max_weight": 0.5}},
    }
    content["train"]["per_device_train_batch_size"] = 4
    content["seeds"] = [0]
    recipe_file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    rows = [
        {"prompt": f"p{n}", "chosen": f" good {n}", "chosen_probability": 0.9, "rejected": f" bad {n}"}
        for n in range(60)
    ]
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Bench(recipe_file)
