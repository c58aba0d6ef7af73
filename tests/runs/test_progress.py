"""How far a stage is, and how it ended: said in its folder, understood or passed over, of no account to results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from w2s_rm.errors import DataError
from w2s_rm.files import write_text
from w2s_rm.programs.launched import held
from w2s_rm.runs import progress
from w2s_rm.runs.folder import StageFolder, holder_lives, lock
from w2s_rm.runs.progress import PROGRESS, Progress, Reporter, read_progress, tell_problem, write_progress


class Clock:
    """A clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_what_is_left_by_hand() -> None:
    said = Progress(step=30, total=100, speed=2.0, written=1000.0)
    # 70 steps at 2 a second, 5 of these 35 seconds ago.
    assert said.left(1005.0) == 30.0
    assert said.left(2000.0) == 0.0
    assert Progress(step=30, total=100, written=1000.0).left(1005.0) is None
    assert Progress(speed=2.0).left(1005.0) is None


def test_it_is_written_once_a_second_with_the_speed_of_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, report = Clock(monkeypatch), Reporter(tmp_path, "batches")
    report(1, 500)
    first = read_progress(tmp_path)
    assert first is not None and (first.step, first.total, first.unit, first.speed) == (1, 500, "batches", None)
    clock.now += 0.9
    report(2, 500)
    assert read_progress(tmp_path) == first, "less than a second later"
    clock.now += 0.3
    report(7, 500)
    second = read_progress(tmp_path)
    # 6 steps in 1.2 s.
    assert second is not None and second.step == 7 and second.speed == pytest.approx(5.0)
    # Ever after at 2 steps a second: in the end nothing else is remembered.
    for number in range(1, 40):
        clock.now += 1.0
        report(7 + 2 * number, 500)
    last = read_progress(tmp_path)
    assert last is not None and last.speed == pytest.approx(2.0)


def test_writes_that_are_slow_become_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = Clock(monkeypatch), []

    def slow(folder: Path, said: Progress) -> None:
        clock.now += 0.5
        written.append(said.step)

    monkeypatch.setattr(progress, "write_progress", slow)
    report = Reporter(tmp_path)
    for step in range(100):
        report(step, 100)
        clock.now += 1.0
    # Half a second each, at most 2 % of the time: one in 25 seconds.
    assert len(written) == 4


def test_the_accuracy_of_held_out_examples_goes_before_that_of_training(tmp_path: Path) -> None:
    report = Reporter(tmp_path)
    report.measured({"loss": 0.7, "accuracy": 0.6})
    report(1, 10)
    assert read_progress(tmp_path) == Progress(1, 10, accuracy=0.6, loss=0.7, written=_written(tmp_path))
    report = Reporter(tmp_path)
    report.measured({"eval_validation_accuracy": 0.8})
    report.measured({"loss": 0.5, "accuracy": 0.9, "eval_test_accuracy": float("nan")})
    report(2, 10)
    assert read_progress(tmp_path) == Progress(2, 10, accuracy=0.8, loss=0.5, written=_written(tmp_path))


def _written(folder: Path) -> float:
    said = read_progress(folder)
    assert said is not None
    return said.written


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", '"x"', "{} {}", "\ufeff{}", '{"step": "7"}', '{"step": true}', '{"stp": 7}'),
        *('{"problem": 3}', '{"speed": NaN}', '{"accuracy": [1]}', '{"unit": null}', '{"written": null}'),
    ],
)
def test_what_cannot_be_understood_is_nothing(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / PROGRESS, text)
    assert read_progress(tmp_path) is None
    (tmp_path / PROGRESS).write_bytes(b"\xff\xfe{}")
    assert read_progress(tmp_path) is None
    assert read_progress(tmp_path / "absent") is None


def test_a_stage_leaves_how_long_it_took(tmp_path: Path) -> None:
    write_progress(tmp_path / "stage", Progress(3, 10, problem="of an earlier try"))
    with held(tmp_path / "stage") as folder:
        assert read_progress(folder.path) is None
        write_text(folder.path / "result.txt", "x")
        time.sleep(0.02)
        folder.finish(stage="x", counts={}, config={})
    said = read_progress(tmp_path / "stage")
    assert said is not None and said.seconds is not None and 0.02 <= said.seconds < 60
    assert said == Progress(seconds=said.seconds, written=said.written) and abs(said.written - time.time()) < 60
    assert list(folder.manifest()["files"]) == ["result.txt"] and folder.problems(lambda name: True) == []
    # Whoever asks for it again is refused, and it is still finished as it was.
    with pytest.raises(DataError), held(tmp_path / "stage"):
        raise DataError("is finished")
    assert read_progress(tmp_path / "stage") == said


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_stage_leaves_what_went_wrong(tmp_path: Path, rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(DataError), held(tmp_path):
        write_progress(tmp_path, Progress(3, 10))
        raise DataError("row 7: no label")
    said = read_progress(tmp_path)
    assert said is not None and said.problem == "row 7: no label" and (said.step, said.total) == (3, 10)
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        write_progress(tmp_path, Progress(3, 10))
        _ = 1 / 0
    said = read_progress(tmp_path)
    assert said is not None and said.problem is not None
    assert said.problem.startswith("Traceback") and "ZeroDivisionError: division by zero" in said.problem


def test_what_was_told_first_stays(tmp_path: Path) -> None:
    """A stage knows more of what went wrong than who launched it."""
    tell_problem(tmp_path, "row 7: no label")
    tell_problem(tmp_path, "failed with exit code 2")
    said = read_progress(tmp_path)
    assert said is not None and said.problem == "row 7: no label"


def test_an_interruption_is_no_failure_and_how_far_it_was_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held(tmp_path):
        Reporter(tmp_path)(3, 10)
        raise KeyboardInterrupt
    said = read_progress(tmp_path)
    assert said is not None and said.problem is None and said.step == 3


def test_a_full_disk_does_not_hide_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, said: Progress) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress, "write_progress", full)
    with pytest.raises(DataError, match="row 7"), held(tmp_path):
        raise DataError("row 7: no label")


def test_who_holds_a_folder_is_known_without_touching_its_lock(tmp_path: Path) -> None:
    assert holder_lives(tmp_path) is False
    with lock(tmp_path):
        assert holder_lives(tmp_path) is True
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = os.uname().nodename
    (tmp_path / ".lock").write_text(f"process {ended.pid} on {host}", encoding="utf-8")
    assert holder_lives(tmp_path) is False
    (tmp_path / ".lock").write_text(f"process {os.getpid()} on elsewhere", encoding="utf-8")
    assert holder_lives(tmp_path) is None
    for text in ("", "process x on y", f"process {os.getpid()}", "process 99999999999999999999 on " + host):
        (tmp_path / ".lock").write_text(text, encoding="utf-8")
        assert holder_lives(tmp_path) is False
    # The number of a process that is gone, given again: the lock is older than the process.
    (tmp_path / ".lock").write_text(f"process {os.getpid()} on {host}", encoding="utf-8")
    os.utime(tmp_path / ".lock", (1e9, 1e9))
    assert holder_lives(tmp_path) is False


def test_looking_stops_no_stage_that_begins(tmp_path: Path) -> None:
    """With the lock in hand for a moment, one of these would be refused."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom w2s_rm.runs.folder import holder_lives\n"
        "print(flush=True)\nwhile True:\n    holder_lives(Path(sys.argv[1]))\n"
    )
    (tmp_path / ".lock").touch()
    looking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert looking.stdout is not None
    looking.stdout.readline()
    try:
        for _ in range(300):
            with lock(tmp_path):
                StageFolder(tmp_path)
    finally:
        looking.kill()
        looking.wait()
        looking.stdout.close()


def test_the_file_says_only_what_is_known(tmp_path: Path) -> None:
    write_progress(tmp_path, Progress(3, 10))
    content = json.loads((tmp_path / PROGRESS).read_text(encoding="utf-8"))
    assert content == {"step": 3, "total": 10, "unit": "steps", "written": content["written"]}
