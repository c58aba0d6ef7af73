"""How stages stand, seen from their folders: each state, and what is still to come."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from w2s_rm.errors import DataError
from w2s_rm.files import write_text
from w2s_rm.programs.launched import held
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.progress import Progress, write_progress
from w2s_rm.runs.standing import (
    DONE,
    FAILED,
    RUNNING,
    STATES,
    STOPPED,
    WAITING,
    Standing,
    counted,
    expected_rest,
    stand,
)


def state(folder: Path) -> str:
    return stand(folder, time.time()).state


def test_a_stage_from_beginning_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "train-1"
    assert state(folder) == WAITING
    folder.mkdir()
    assert state(folder) == WAITING
    write_text(folder / "config.yaml", "planned: by hand")
    assert state(folder) == WAITING
    with pytest.raises(DataError), held(folder):
        assert state(folder) == RUNNING
        raise DataError("row 7: no label")
    failed = stand(folder, time.time())
    assert failed.state == FAILED and failed.progress is not None and failed.progress.problem == "row 7: no label"
    with held(folder) as stage:
        assert state(folder) == RUNNING, "another try"
        write_progress(folder, Progress(3, 10))
        stage.finish(stage="x", counts={}, config={})
        assert state(folder) == DONE
    done = stand(folder, time.time())
    assert done.state == DONE and done.finished is not None and abs(done.finished - time.time()) < 60
    assert done.progress is not None and done.progress.seconds is not None


def test_what_was_killed_is_stopped(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with lock(tmp_path):
            write_progress(tmp_path, Progress(3, 10))
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert state(tmp_path) == STOPPED


def test_a_holder_on_another_machine_lives_as_long_as_it_writes(tmp_path: Path) -> None:
    write_text(tmp_path / ".lock", "process 7 on elsewhere")
    now = time.time()
    assert stand(tmp_path, now).state == RUNNING
    assert stand(tmp_path, now + 3600).state == WAITING
    write_progress(tmp_path, Progress(3, 10))
    os.utime(tmp_path / ".lock", (now - 3600, now - 3600))
    assert stand(tmp_path, now).state == RUNNING
    assert stand(tmp_path, now + 3600).state == STOPPED
    StageFolder(tmp_path).seal({})
    assert stand(tmp_path, now).state == DONE


def test_the_rest_by_hand() -> None:
    def done(seconds: float | None) -> Standing:
        return Standing(DONE, None if seconds is None else Progress(seconds=seconds), 0.0)

    now = 1000.0
    standings = {
        "a": done(10.0),
        "b": done(20.0),
        "c": done(None),
        "d": Standing(WAITING),
        # 60 steps at 2 a second, 5 seconds ago.
        "e": Standing(RUNNING, Progress(40, 100, speed=2.0, written=now - 5)),
        # The same, but it stands still.
        "f": Standing(STOPPED, Progress(40, 100, speed=2.0, written=now - 5)),
        "g": Standing(RUNNING),
        "h": Standing(WAITING),
    }
    kinds = {**dict.fromkeys("abcdefg", "train"), "h": "evaluate"}
    rest = expected_rest(
        {Path(name): standing for name, standing in standings.items()},
        {Path(name): kind for name, kind in kinds.items()},
        now,
    )
    # d and g as long as a and b took on average; of evaluations nothing is known.
    assert rest.seconds == pytest.approx(15 + 25 + 30 + 15) and rest.unknown == 1
    assert counted(standings.values()) == dict(zip(STATES, (2, 2, 1, 0, 3), strict=True))
