"""The lock under which extensions are built: one at a time, and none that a dead process holds."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import cpp_extension

from w2s_rm import W2SRewardConfig
from w2s_rm.programs.launched import machine_defaults
from w2s_rm.training.extension_builds import BuildLock

HOLDS = """
import sys, time
from w2s_rm.training.extension_builds import BuildLock
baton = BuildLock(sys.argv[1])
print("asks", flush=True)
assert baton.try_acquire()
print("held", flush=True)
sys.stdin.readline()
baton.release()
print("released", flush=True)
sys.stdin.readline()
"""


def holder(lock: Path) -> subprocess.Popen[str]:
    """Start another process that acquires the lock, and lets go of it on a line of input."""
    program = [sys.executable, "-c", HOLDS, str(lock)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert said(process) == "asks"
    return process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def proceed(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("begin", ["trainer's arguments", "program"])
def test_builds_take_the_lock(begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # torch looks the class up there: should it be built otherwise one day, this workaround has had its time.
    assert cpp_extension._jit_compile.__globals__["FileBaton"] is cpp_extension.FileBaton
    monkeypatch.setattr(cpp_extension, "FileBaton", None)
    if begin == "program":
        machine_defaults({})
    else:
        W2SRewardConfig(str(tmp_path), use_cpu=True, bf16=False)
    assert cpp_extension.FileBaton is BuildLock


def test_a_file_that_a_killed_build_left_stops_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    baton = BuildLock(str(lock))
    assert baton.try_acquire()
    baton.release()
    assert not lock.exists()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock) as first:
        assert said(first) == "held"
        first.kill()
    assert lock.exists()
    baton = BuildLock(str(lock))
    assert baton.try_acquire()
    baton.release()
    assert not lock.exists()


def test_one_builds_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    baton = BuildLock(str(lock))
    assert baton.try_acquire()
    with holder(lock) as other:
        assert not select.select([other.stdout], [], [], 1)[0]
        baton.release()
        # The file on which it waited is gone: it holds a new one.
        assert said(other) == "held" and lock.exists()
        proceed(other)
        assert said(other) == "released" and not lock.exists()
        proceed(other)
