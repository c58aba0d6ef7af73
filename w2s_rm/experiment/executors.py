"""Two ways to run a stage: in this process, or launched by `accelerate`."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from w2s_rm import catalog
from w2s_rm.errors import StageError
from w2s_rm.files import write_json
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.processes import LAUNCHED_VARIABLE, WATCHED_VARIABLE, die_with_parent
from w2s_rm.stages import Stage

logger = logging.getLogger(__name__)

# Seconds between two looks for a file; a stage takes seconds at least.
_POLL_S = 0.02
# For the lines that are still in the pipe when the process has ended.
_LAST_WORDS_S = 5.0


def run_inline(stage: Stage) -> None:
    """Run a stage in this process and free its model afterwards.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run; its config is written already.
    """
    # What is there already is passed over, also by the collections of each training: one of all that is imported takes
    # longer than a small stage. Who froze before keeps that; else it comes back: it may be garbage later.
    frozen = gc.get_freeze_count()
    gc.freeze()
    try:
        stage.run(stage.arguments())
    finally:
        # Trainers, models and callbacks refer to each other: the memory is free only after a collection.
        gc.collect()
        if not frozen:
            gc.unfreeze()
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
        code = self._in_turn(stage) if _stays_open() else _Process(stage.command()).wait()
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
        # Its processes see by this lock whether the run still lives.
        self._held.enter_context(lock(self._folder))
        self._asked = 0
        self._process = _Process([*launcher, "-m", "w2s_rm.programs.in_turn", str(self._folder)])

    @property
    def alive(self) -> bool:
        """Whether the processes wait for a stage."""
        return self._process.runs

    def run(self, stage: Stage) -> int | None:
        """Run a stage; return the exit code of a launch that ended over it."""
        # Named after the order, before `_ask` counts it.
        done = self._folder / f"{self._asked}.done"
        self._ask({"stage": catalog.name_of(type(stage)), "arguments": stage.arguments()})
        try:
            while not done.exists():
                if not self.alive:
                    self._held.close()
                    return self._process.wait()
                time.sleep(_POLL_S)
        # Ctrl-C too: nobody else would stop the processes.
        except BaseException:
            self._process.stop()
            raise
        return None

    def close(self) -> None:
        """End the launch."""
        if self.alive:
            self._ask({})
            if code := self._process.wait():
                logger.warning("a launch whose stages are all finished ended with exit code %d", code)
        self._held.close()

    def _ask(self, order: dict[str, object]) -> None:
        # Written whole or not at all: the other side reads it as soon as it sees it.
        write_json(self._folder / f"{self._asked}.json", order)
        self._asked += 1


def _stays_open() -> bool:
    import torch

    return not torch.accelerator.is_available()


class _Process:
    """A launch, in a session of its own, so that a stop reaches all of its processes and no others."""

    def __init__(self, command: Sequence[str]) -> None:
        # Whoever draws in the terminal prints what a stage says; else that goes there by itself.
        watched = WATCHED_VARIABLE in os.environ
        self._popen = subprocess.Popen(
            command,
            env={**os.environ, LAUNCHED_VARIABLE: "1"},
            stdout=subprocess.PIPE if watched else None,
            stderr=subprocess.STDOUT if watched else None,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self._relay = threading.Thread(target=self._print, daemon=True)
        if watched:
            self._relay.start()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def wait(self) -> int:
        """Wait for the end and return the exit code; whatever interrupts that ends the launch."""
        try:
            code = self._popen.wait()
        except BaseException:
            self.stop()
            raise
        if self._relay.is_alive():
            # A child that outlives its launch would keep the pipe open.
            self._relay.join(_LAST_WORDS_S)
        return code

    def stop(self) -> None:
        """End all of its processes."""
        # Ctrl-C reaches only this process: a launch has its own session.
        if self.runs:
            os.killpg(self._popen.pid, signal.SIGTERM)
            self._popen.wait()

    def _print(self) -> None:
        assert self._popen.stdout is not None
        for line in io.TextIOWrapper(self._popen.stdout, encoding="utf-8", errors="replace"):
            print(line, end="", file=sys.stderr, flush=True)
