"""What a Ray worker does with a stage: run it by its own command, again where its process was killed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import InUseError, W2SError, system_problem
from w2s_rm.runs.folder import LOG, StageFolder
from w2s_rm.runs.processes import LAUNCHED_VARIABLE, die_with_parent
from w2s_rm.runs.progress import forget_progress, tell_problem
from w2s_rm.stages import Stage

MAX_RETRIES = 3
"""How often a stage whose worker or process was killed is started again."""
STARTED = "started"
"""What [`run_in_worker`] yields first."""
_FREED_WITHIN_S = 60.0
_TAIL_LINES = 15


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Args:
        problem (`str`, *optional*): What its log says last, when it failed.
        seconds (`float`): How long its last try took.
    """

    problem: str | None
    seconds: float


def run_in_worker(stage: Stage, environment: Mapping[str, str], folder: str) -> Iterator[Any]:
    """Run a stage by its own command, as a Ray task; it dies with its worker, and goes on in another.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run.
        environment (`Mapping[str, str]`): Variables of the process that started the run.
        folder (`str`): The working folder of that process.

    Yields:
        `"started"`, then the [`Outcome`].
    """
    yield STARTED
    started = time.perf_counter()
    try:
        _wait_and_write_config(stage)
        problem = _run_process(stage, {**os.environ, **environment, LAUNCHED_VARIABLE: "1"}, folder)
    except W2SError as error:
        problem = str(error)
    except OSError as error:
        problem = system_problem(error)
    if problem is not None:
        tell_problem(stage.folder, problem)
    yield Outcome(problem, time.perf_counter() - started)


def _wait_and_write_config(stage: Stage) -> None:
    """A worker that was killed takes its stage along, but not in the same instant."""
    give_up = time.monotonic() + _FREED_WITHIN_S
    while True:
        try:
            stage.write_config()
            # A problem that an earlier try has told would be taken for one of this try.
            forget_progress(stage.folder)
            return
        except InUseError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _run_process(stage: Stage, environment: Mapping[str, str], folder: str) -> str | None:
    """Run a stage, again when its process was killed; return the end of its log when it failed by itself."""
    for _ in range(MAX_RETRIES + 1):
        # A worker that was killed may have had a process that came to its end.
        if StageFolder(stage.folder).finished:
            return None
        with (stage.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(f"# {' '.join(_command(stage))}\n")
            log.flush()
            # Earlier tries have written before this place: their last words are not this one's.
            start = log.tell()
            code = subprocess.run(
                _command(stage), env=environment, cwd=folder, stdout=log, stderr=log, preexec_fn=die_with_parent
            ).returncode
        # Below zero a signal has ended it, as when memory ran out. What failed by itself would fail again.
        if code >= 0:
            break
    # The manifest comes last: a process that fell over while leaving has lost nothing.
    if StageFolder(stage.folder).finished:
        return None
    return f"failed with exit code {code}; {stage.folder / LOG} ends:\n{_tail(stage.folder / LOG, start)}"


def _command(stage: Stage) -> list[str]:
    command = stage.command()
    if "--config_file" in command:
        # Several launches at once on one machine: each finds a port of its own.
        index = command.index("--config_file") + 2
        command[index:index] = ["--main_process_port", "0"]
    return command


def _tail(path: Path, start: int) -> str:
    """The last lines of a log: from the stage's own message on, when it has one."""
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        lines = file.read().splitlines()
    messages = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    return "\n".join(f"    {line}" for line in (lines[messages[-1] :] if messages else lines)[-_TAIL_LINES:])
