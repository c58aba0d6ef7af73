"""`w2s-rm run` but for its stages: what would run, some of them alone, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from planning_helpers import make_recipe, recipe_file
from signals import hear_ctrl_c

from w2s_rm import cli
from w2s_rm.experiment.interrupted import interruption
from w2s_rm.experiment.jobs import unite
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.files import write_text
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.progress import Progress, write_progress

__all__ = ["make_recipe", "recipe_file"]
ROOT = Path(__file__).parents[2]


def test_a_dry_run_shows_what_is_missing_and_writes_nothing(
    recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = recipe_file.parent / "runs"
    command = ["run", str(recipe_file), "seeds=[0]", "--runs", str(runs), "--dry-run"]
    assert cli.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["1", "would", "run", "prepare"] and not runs.exists()
    total = len(lines) - 1
    assert lines[-1] == f"{total} stages: 0 cached, {total} to run"
    # `plan` numbers them in the same way.
    assert cli.main(["plan", str(recipe_file), "seeds=[0]", "--runs", str(runs)]) == 0
    planned = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines() if "missing" in line]
    assert [[number, title] for number, _, title in planned[:total]] == [
        [line.split()[0], " ".join(line.split()[3:])] for line in lines[:-1]
    ]
    assert cli.main([*command, "--only", "weak"]) == 0
    assert [line.split()[3:] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        ["prepare"],
        ["weak", "seed", "0"],
    ]


def test_one_stage_alone(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = recipe_file.parent / "runs"
    command = ["run", str(recipe_file), "seeds=[0]", "--runs", str(runs)]
    assert cli.main([*command, "--only", "prepare"]) == 0
    shown = capsys.readouterr()
    assert [path.name.split("-")[0] for path in (runs / "stages").iterdir()] == ["prepare"]
    assert "prepare: done in" in shown.err and "no report yet: " in shown.err and not shown.out
    # The plan is that of the whole run.
    assert (runs / "small" / "plan.json").is_file() and not (runs / "small" / "report.md").exists()
    assert cli.main([*command, "--only", "prepare", "--dry-run"]) == 0
    assert capsys.readouterr().out == "1 stage: 1 cached, 0 to run\n"
    assert cli.main([*command, "--only", "prepar"]) == 2
    assert "--only 'prepar': no such stage; did you mean 'prepare'" in capsys.readouterr().err


def test_what_an_interruption_leaves(recipe_file: Path) -> None:
    jobs = unite([make_plan(load_recipe(recipe_file, ["seeds=[0]"]), recipe_file.parent / "runs")])
    folders = {job.title: job.stage.folder for job in jobs}
    write_text(folders["prepare"] / "config.yaml", "x")
    StageFolder(folders["prepare"]).seal({})
    write_progress(folders["weak seed 0"], Progress(7, 20))
    write_progress(folders["ceiling seed 0"], Progress(120, 400))
    write_text(folders["ceiling seed 0"] / "trainer" / "checkpoint-100" / "complete", "x")
    trainer = folders["ceiling seed 0"] / "trainer"
    assert interruption(jobs).splitlines() == [
        f"finished stages are kept, 1 of {len(jobs)}",
        "  weak seed 0: was at 7 of 20 steps, begins again",
        f"  ceiling seed 0: was at 120 of 400 steps, goes on from what is kept in {trainer}",
        "the same command goes on from here",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["accelerate_config=cpu_ddp"]])
def test_ctrl_c_stops_the_children_and_says_what_is_kept(tmp_path: Path, options: list[str]) -> None:
    """While a weak model trains for a long time, in this process or in a launch of two."""
    recipe = yaml.safe_load((ROOT / "recipes" / "reward_modeling" / "quickstart.yaml").read_text(encoding="utf-8"))
    tiny = {"steps": 1, "num_hidden_layers": 1, "batch_size": 2}
    for role in ("weak", "strong"):
        recipe[role]["pretrain"] |= tiny
    recipe["task"] |= {"n_train": 64, "n_validation": 16, "n_test": 16}
    del recipe["train"]["evaluations"]
    write_text(tmp_path / "recipe.yaml", yaml.safe_dump(recipe))
    overrides = ["seeds=[0]", "name=mine", "weak.train.num_train_epochs=100000", *options]
    command = [sys.executable, "-m", "w2s_rm.cli", "run", str(tmp_path / "recipe.yaml"), *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "W2S_RM_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )
    try:
        end = time.monotonic() + 900
        while not list(tmp_path.glob("runs/stages/truth-*/progress.json")):
            assert time.monotonic() < end and process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        assert bool(options) == bool(children)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    # The launcher of several processes says besides where the signal met it.
    assert options or "Traceback" not in errors
    said = errors[errors.index("interrupted; ") :].splitlines()
    assert said[0].startswith("interrupted; finished stages are kept, 3 of ") and len(said) == 3
    assert said[1].startswith("  weak seed 0: was at ") and said[2] == "the same command goes on from here"
    shutil.rmtree(tmp_path / "runs")
