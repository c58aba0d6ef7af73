"""`w2s-rm clean`: what no plan uses goes, and nothing else ever does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planning_helpers import make_recipe, recipe_file

from w2s_rm import cli
from w2s_rm.errors import InUseError
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import record
from w2s_rm.files import write_text
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.unused import remove, unused_stages

__all__ = ["make_recipe", "recipe_file"]


def planned(recipe: Path, *overrides: str) -> Plan:
    """A plan that is written down, and all of whose stages have a file of 1000 bytes."""
    plan = make_plan(load_recipe(recipe, list(overrides)), recipe.parent / "runs")
    record(plan)
    for stage in plan.stages:
        write_text(stage.folder / "result.txt", "x" * 1000)
        StageFolder(stage.folder).seal({})
    return plan


def names(runs: Path) -> set[str]:
    return {path.name for path in (runs / "stages").iterdir()}


def folders(plan: Plan) -> set[str]:
    return {stage.folder.name for stage in plan.stages}


@pytest.fixture
def runs(recipe_file: Path) -> Path:
    return recipe_file.parent / "runs"


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_what_a_changed_recipe_has_left_goes(
    recipe_file: Path, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = planned(recipe_file, "seeds=[0]")
    other = planned(recipe_file, "seeds=[0]", "name=other", "methods={naive: {loss: cross_entropy}}")
    now = planned(recipe_file, "seeds=[0]", "train.learning_rate=2e-5", "strong.train={learning_rate: 2e-5}")
    gone = folders(before) - folders(other) - folders(now)
    assert gone and folders(before) & folders(other) - folders(now), "some are used by the other run alone"
    write_text(runs / "stages" / "student-000000000000.aside-1" / "big.txt", "x" * 5_000_000)
    everything = names(runs)
    answer(monkeypatch, "n\n")
    assert cli.main(["clean", str(runs)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "    5 MB  student-000000000000.aside-1", "the largest first"
    assert {line.split()[2] for line in shown[1:-1]} == gone and shown[-1].endswith("nothing was removed")
    assert names(runs) == everything
    answer(monkeypatch, "")
    assert cli.main(["clean", str(runs)]) == 0
    assert names(runs) == everything, "nobody to ask"
    answer(monkeypatch, "y\n")
    assert cli.main(["clean", str(runs)]) == 0
    assert f"remove {len(gone) + 1} folders, 5 MB? [y/N] removed" in capsys.readouterr().out
    assert names(runs) == folders(other) | folders(now)
    assert cli.main(["clean", str(runs)]) == 0
    assert capsys.readouterr().out == f"every stage in {runs / 'stages'} is used by a plan\n"


def test_a_held_stage_is_kept_and_the_rest_goes(
    recipe_file: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(recipe_file, "seeds=[0]")
    for name in ("student-111111111111", "student-222222222222"):
        write_text(runs / "stages" / name / "x", "x")
    with lock(runs / "stages" / "student-111111111111"):
        assert cli.main(["clean", str(runs), "--yes"]) == 0
    shown = capsys.readouterr().out
    assert f"kept: {runs}/stages/student-111111111111 is in use by process {os.getpid()}" in shown
    assert shown.endswith("removed 1 folder, 1 B\n")
    assert names(runs) == folders(plan) | {"student-111111111111"}


def test_what_a_plan_has_come_to_use_meanwhile_is_kept(recipe_file: Path, runs: Path) -> None:
    planned(recipe_file, "seeds=[0]")
    later = planned(recipe_file, "seeds=[1]", "name=later")
    (runs / "later" / "plan.json").unlink()
    unused = unused_stages(runs)
    assert unused
    record(later)
    for entry in unused:
        with pytest.raises(InUseError, match="made just now"):
            remove(runs, entry.folder)
    assert folders(later) <= names(runs)


def test_where_nothing_says_what_is_used_nothing_is_unused(
    recipe_file: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(where: Path) -> str:
        assert cli.main(["clean", str(where), "--yes"]) == 2
        return capsys.readouterr().err

    assert "holds no stages; give the folder of all runs" in refused(recipe_file.parent)
    assert "holds no stages" in refused(runs)
    write_text(runs / "stages" / "student-111111111111" / "x", "x")
    assert "no run has a plan here" in refused(runs)
    planned(recipe_file, "seeds=[0]")
    plan = runs / "small" / "plan.json"
    whole = plan.read_text(encoding="utf-8")
    for broken in (whole[:-20], whole.replace("small", "smell"), "{}", ""):
        write_text(plan, broken)
        assert f"{plan}: " in refused(runs)
    assert "student-111111111111" in names(runs)


def test_links_and_what_is_no_stage_are_left_alone(recipe_file: Path, runs: Path, tmp_path: Path) -> None:
    planned(recipe_file, "seeds=[0]")
    write_text(tmp_path / "elsewhere" / "x", "x")
    (runs / "stages" / "student-333333333333").symlink_to(tmp_path / "elsewhere")
    write_text(runs / "stages" / "notes.txt", "x")
    write_text(runs / "stages" / ".prepare.tmp" / "x", "x")
    write_text(runs / "stages" / "student-111111111111" / "x", "x")
    (runs / "stages" / "student-111111111111" / "link").symlink_to(tmp_path / "elsewhere")
    # Of a removal that was killed.
    write_text(runs / "stages" / "student-222222222222.aside-1" / "x", "x")
    assert {entry.folder.name for entry in unused_stages(runs)} == {
        "student-111111111111",
        "student-222222222222.aside-1",
    }
    assert cli.main(["clean", str(runs), "--yes"]) == 0
    assert (tmp_path / "elsewhere" / "x").is_file() and (runs / "stages" / "student-333333333333").is_symlink()
    left = names(runs)
    assert {"notes.txt", ".prepare.tmp"} <= left
    assert not any(name.startswith(("student-111111111111", "student-222222222222")) for name in left)


def test_it_needs_no_torch(recipe_file: Path, runs: Path) -> None:
    planned(recipe_file, "seeds=[0]")
    code = f"import sys; from w2s_rm.cli import main; main(['clean', {str(runs)!r}]); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"
