"""What a plan says about the interval of PGR."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2s_rm import cli
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.power import power_lines
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.metrics.power import expected_pgr
from w2s_rm.render.numbers import ratio_interval
from w2s_rm.runs.folder import StageFolder


def lines_of(recipe: Path, *overrides: str, gap: float = 0.1) -> list[str]:
    plan = make_plan(load_recipe(recipe, overrides), recipe.parent / "runs")
    return power_lines([plan, plan], gap=gap, spread=0.01)


def test_recipes_with_the_same_sizes_share_a_line(recipe_file: Path) -> None:
    (line,) = lines_of(recipe_file, "task.n_test=2000", "seeds=[0, 1, 2]")
    expected = expected_pgr(2_000, 3, gap=0.1, spread=0.01)
    start = "PGR's interval with 2,000 test examples, 3 seeds and a spread of 1.0 points over seeds, and a gap of 10.0"
    assert (
        line.startswith(f"{start} points: 0.50 {ratio_interval(expected.low, expected.high)}\n") and "assumed" in line
    )
    (one,) = lines_of(recipe_file, "task.n_test=2000", "seeds=[0]")
    assert "2,000 test examples, 1 seed, and a gap" in one


def test_a_gap_that_will_not_be_told_from_zero_is_said(recipe_file: Path) -> None:
    (line,) = lines_of(recipe_file, "task.n_test=100", gap=0.02)
    assert "[−∞, ∞], as such a gap cannot be told from zero" in line


def test_the_test_examples_are_those_prepared_or_asked_for(recipe_file: Path) -> None:
    (line,) = lines_of(recipe_file, "task.n_test=null")
    assert line == "PGR's interval follows from the number of test examples, which is known once they are prepared"
    plan = make_plan(load_recipe(recipe_file, ["task.n_test=null"]), recipe_file.parent / "runs")
    (prepared,) = [stage for stage in plan.stages if stage.kind == "prepare"]
    prepared.folder.mkdir(parents=True)
    StageFolder(prepared.folder).seal({"counts": {"n_test": 1234}})
    (line,) = lines_of(recipe_file, "task.n_test=null")
    assert line.startswith("PGR's interval with 1,234 test examples")
    # Of a further task they say nothing, also where that alone is prepared.
    further = "also_evaluate=[{name: world_preference, as: other, n_entities: 10, n_test: 20}]"
    other = make_plan(load_recipe(recipe_file, ["task.n_test=50", further]), recipe_file.parent / "runs")
    (elsewhere,) = [stage for stage in other.stages if stage.kind == "prepare" and stage.further is not None]
    elsewhere.folder.mkdir(parents=True)
    StageFolder(elsewhere.folder).seal({"counts": {"n_test": 20}})
    (line,) = lines_of(recipe_file, "task.n_test=50", further)
    assert line.startswith("PGR's interval with 50 test examples")


def test_the_command_says_it_with_other_assumptions(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(recipe_file.parent / "runs")
    assert cli.main(["plan", str(recipe_file), "--runs", runs, "--gap", "20", "--spread", "2.5"]) == 0
    assert "a spread of 2.5 points over seeds, and a gap of 20.0 points" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["plan", str(recipe_file), "--gap", "60"])
    assert "'60' is no number of points from 0 to 50" in capsys.readouterr().err
