"""Launched stages: in one launch where nothing speaks against it, and each as if it were alone."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from w2s_rm import catalog
from w2s_rm.errors import EXIT_USER_ERROR, StageError
from w2s_rm.experiment import executors
from w2s_rm.experiment.executors import Launches, run_inline
from w2s_rm.files import write_json
from w2s_rm.runs.folder import lock
from w2s_rm.stages import Stage

OWN = str(Path(__file__).parents[1] / "stages" / "process_id.py")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Stage]:
    def make(number: int, **options: Any) -> Stage:
        stage: Stage = catalog.lookup("stages", OWN)(runs=tmp_path, number=number, **options)
        stage.write_config()
        return stage

    return make


def found(stage: Stage) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((stage.folder / "process.json").read_text(encoding="utf-8"))
    return said


def test_a_launch_stays_open_and_each_stage_finds_what_the_first_found(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_stays_open", lambda: True)
    stages = [make(number) for number in range(3)]
    with Launches() as launches:
        for stage in stages:
            launches.run(stage)
            assert stage.cached
        process = psutil.Process(found(stages[0])["process"])
        assert process.is_running()
    assert {found(stage)["process"] for stage in stages} == {process.pid}
    assert [found(stage)["changed"] for stage in stages] == [None] * 3
    assert not process.is_running()


def test_after_a_failure_comes_a_new_launch(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(executors, "_stays_open", lambda: True)
    with Launches() as launches:
        launches.run(make(0))
        bad = make(1, fails=True)
        with pytest.raises(StageError, match=rf"process_id failed with exit code 2; .*{bad.folder.name}"):
            launches.run(bad)
        launches.run(make(2))
    assert "error: as it was told" in capfd.readouterr().err
    assert not bad.cached and found(make(0))["process"] != found(make(2))["process"]


def test_a_launch_that_was_killed_while_it_waited_fails_no_stage(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_stays_open", lambda: True)
    with Launches() as launches:
        launches.run(make(0))
        process = psutil.Process(found(make(0))["process"])
        process.kill()
        psutil.wait_procs([process], timeout=20)
        launches.run(make(1))
    assert make(1).cached and found(make(1))["process"] != process.pid


def test_on_accelerators_each_stage_has_a_launch_of_its_own(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_stays_open", lambda: False)
    with Launches() as launches:
        launches.run(make(0))
        launches.run(make(1))
        with pytest.raises(StageError, match="failed with exit code 2"):
            launches.run(make(2, fails=True))
    assert found(make(0))["process"] != found(make(1))["process"]


def test_an_interrupted_run_ends_its_launch(make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_stays_open", lambda: True)
    first, second = make(0), make(1)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with Launches() as launches:
        launches.run(first)
        process = psutil.Process(found(first)["process"])
        monkeypatch.setattr(executors.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launches.run(second)
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_launch_whose_run_is_gone_ends(make: Callable[..., Stage], tmp_path: Path) -> None:
    with lock(tmp_path):
        # No run started it, so that no signal of the system's ends it first.
        process = subprocess.Popen([sys.executable, "-m", "w2s_rm.programs.in_turn", str(tmp_path)])
        # Between the two it waits, for as long as it may be asked.
        for number in range(2):
            order = {"stage": OWN, "arguments": make(number).arguments()}
            write_json(tmp_path / f"{number}.json", order)
            while not (tmp_path / f"{number}.done").exists():
                assert process.poll() is None
                time.sleep(0.01)
    assert process.wait(timeout=60) == EXIT_USER_ERROR


@pytest.mark.parametrize("frozen", [False, True])
def test_what_a_caller_holds_can_be_collected_again(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    """A collection after a stage passes by what was there before, and only then."""
    seen: list[int] = []
    stage = make(0)
    look = classmethod(lambda cls, arguments: seen.append(gc.get_freeze_count()))
    monkeypatch.setattr(type(stage), "run", look)
    gc.unfreeze()
    if frozen:
        gc.freeze()
    run_inline(stage)
    assert seen[0] > 10_000 and (gc.get_freeze_count() > 0) is frozen
    gc.freeze()
