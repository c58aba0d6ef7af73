"""A training as a plan makes one, around a tiny model and texts that it can learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from training_helpers import COMMON

from w2s_rm.data.examples import hash_order, write_examples
from w2s_rm.experiment.feature_route import token_states
from w2s_rm.runs.places import model_layers
from w2s_rm.stages import Examples, Features, Model, Stage
from w2s_rm.stages.train import Train
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Row


@pytest.fixture
def training(
    tiny_model: Callable[..., str], pairs: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> Callable[..., Train]:
    """Describe a training on the truth of 32 comparisons; by default of a tiny model with a head."""
    task = Preference("pairs.jsonl", id_column="id")
    write_examples(
        tmp_path / "relabel.parquet", [hash_order(task.to_example(Row("pairs.jsonl", row))) for row in pairs(32)]
    )

    def describe(model: str | None = None, head: str = "reward", **options: Any) -> Train:
        common = {name: value for name, value in COMMON.items() if name != "disable_tqdm"}
        return Train(
            runs=tmp_path / "runs",
            examples=Examples(str(tmp_path / "relabel.parquet"), "relabel"),
            model_name_or_path=Model(model or tiny_model(), "tiny"),
            head=head,
            seed=0,
            of="student",
            options={**common, "max_steps": 3, **options},
        )

    return describe


@pytest.fixture
def run_stage() -> Callable[[Stage], Path]:
    """Run a stage, and before it what it needs; return the model that it made."""

    def run(stage: Stage) -> Path:
        for needed in stage.needs:
            run(needed)
        if not stage.cached:
            stage.write_config()
            stage.run(stage.arguments())
        return stage.folder / "model"

    return run


@pytest.fixture
def route(training: Callable[..., Train]) -> Any:
    """What a preparation asks a route for: the examples that students are trained on, and how these are read."""

    class Split:
        recipe = SimpleNamespace(seeds=[0])

        def of_seed(self, seed: int) -> Any:
            return self

        def spec(self, part: str) -> Any:
            return SimpleNamespace(options={})

        def examples(self, split: str) -> Examples:
            assert split == "relabel"
            return training().examples

        def layers(self, part: str) -> int | None:
            return model_layers(training().model_name_or_path.path)

        def token_states(self, training: Train, layers: int) -> Features:
            return token_states(training, cast(Any, self), layers)

    return Split()
