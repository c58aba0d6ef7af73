"""Two ways to run a stage: in this process, or launched by `accelerate`."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from w2s_rm import catalog
from w2s_rm.errors import StageError
from w2s_rm.files import write_json
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.processes import LAUNCHED_VARIABLE, die_with_parent
from w2s_rm.stages import Stage

logger = logging.getLogger(__name__)

_POLL_S = 0.02


def run_inline(stage: Stage) -> None:
    """Run a stage in this process and free its model afterwards.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run; its config is written already.
    """
    try:
        stage.run(stage.arguments())
    finally:
        # Trainers, models and callbacks refer to each other: the memory is free only after a collection.
        gc.collect()
        # Not imported: a stage without a model has none.
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class Launches:
    """Runs stages as programs of their own, on all processes that their accelerate configs name.

    On CPUs a launch stays open for the next stage that is launched alike: to import the libraries takes longer than
    many a stage. On accelerators each stage has a launch of its own, and so all of their memory.
    """

    def __init__(self) -> None:
        self._open: _Launch | None = None

    def __enter__(self) -> Launches:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def run(self, stage: Stage) -> None:
        """Run a stage.

        Args:
            stage ([`~w2s_rm.stages.Stage`]): What to run; its config is written already.

        Raises:
            StageError: The program failed; its own message stands above.
        """
        if not stage.loads_model:
            run_inline(stage)
            return
        code = self._in_turn(stage) if _stays_open() else _wait(_start(stage.command()))
        if code != 0 and StageFolder(stage.folder).finished:
            # The manifest comes last: a process that fell over while leaving has lost nothing.
            logger.warning("stage %s is finished, but its launch ended with exit code %d", stage.title, code)
        elif code != 0:
            raise StageError(
                f"stage {stage.title} failed with exit code {code}; its message stands above; rerun it with: "
                + " ".join(stage.command())
            )

    def _in_turn(self, stage: Stage) -> int:
        launcher = stage.launcher()
        # Two launches at once would want the same port, and one that was killed while it waited is no stage's fault.
        if self._open is not None and (self._open.launcher != launcher or not self._open.alive):
            self._close()
        if self._open is None:
            self._open = _Launch(launcher)
        code = self._open.run(stage)
        if code is None:
            return 0
        self._open = None
        return code

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Launch:
    """Processes that run one stage after another: [`w2s_rm.programs.in_turn`]."""

    def __init__(self, launcher: Sequence[str]) -> None:
        self.launcher = launcher
        self._held = contextlib.ExitStack()
        self._folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="w2s-rm-")))
        self._held.enter_context(lock(self._folder))
        self._asked = 0
        self._process = _start([*launcher, "-m", "w2s_rm.programs.in_turn", str(self._folder)])

    @property
    def alive(self) -> bool:
        """Whether the processes wait for a stage."""
        return self._process.poll() is None

    def run(self, stage: Stage) -> int | None:
        """Run a stage; return the exit code of a launch that ended over it."""
        done = self._folder / f"{self._asked}.done"
        self._ask({"stage": catalog.name_of(type(stage)), "arguments": stage.arguments()})
        try:
            while not done.exists():
                if not self.alive:
                    self._held.close()
                    return self._process.returncode
                time.sleep(_POLL_S)
        # Ctrl-C too: nobody else would stop the processes.
        except BaseException:
            _stop(self._process)
            raise
        return None

    def close(self) -> None:
        """End the launch."""
        if self.alive:
            self._ask({})
            if code := _wait(self._process):
                logger.warning("a launch whose stages are all finished ended with exit code %d", code)
        self._held.close()

    def _ask(self, order: dict[str, object]) -> None:
        # Written whole or not at all: the other side reads it as soon as it sees it.
        write_json(self._folder / f"{self._asked}.json", order)
        self._asked += 1


def _stays_open() -> bool:
    import torch

    return not torch.accelerator.is_available()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    # In a session of its own, so that a stop reaches all of its processes and no others.
    environment = {**os.environ, LAUNCHED_VARIABLE: "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=die_with_parent)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except BaseException:
        _stop(process)
        raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Ctrl-C reaches only this process: a launch has its own session.
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
