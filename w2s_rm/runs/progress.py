"""How far a stage is: a small file in its folder, for whoever looks on. No result, so no manifest vouches for it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_rm.errors import W2SError
from w2s_rm.files import write_json

PROGRESS = "progress.json"
# Between two writes: often enough to look at, and so seldom that they take 2 % of the time at most.
_EVERY_S, _SHARE = 1.0, 0.02
# Speed is that of the last so many writes: what comes first, such as a compilation, is soon forgotten.
_REMEMBERED = 30
Report = Callable[[int, int], None]
"""Is told how many steps are done, and how many there are."""
# Under which names trainers log what is of interest here, the best one first.
_ACCURACIES = ("eval_test_accuracy", "eval_validation_accuracy", "accuracy")


@dataclass(frozen=True)
class Progress:
    """How far a stage is, or how its last try ended.

    Args:
        step (`int`, *optional*): Steps done.
        total (`int`, *optional*): Steps in all.
        unit (`str`, *optional*, defaults to `"steps"`): What is counted, such as `"batches"`.
        speed (`float`, *optional*): Steps a second, lately.
        accuracy (`float`, *optional*): The last that was measured: on held-out examples where they are scored on the
            way, else on those of the last steps, by the labels that the model is trained on.
        loss (`float`, *optional*): Of the last steps.
        written (`float`, *optional*): When this was written, seconds since 1970.
        seconds (`float`, *optional*): How long the stage took, once it is finished; after an interruption its last try.
        problem (`str`, *optional*): What went wrong, when it failed.
    """

    step: int | None = None
    total: int | None = None
    unit: str = "steps"
    speed: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    written: float = 0.0
    seconds: float | None = None
    problem: str | None = None

    def left(self, now: float) -> float | None:
        """Return how many seconds the stage still needs, as far as its speed tells.

        Args:
            now (`float`): Seconds since 1970.
        """
        if self.step is None or self.total is None or not self.speed:
            return None
        # Time has passed since this was written, and steps were made in it.
        return max(0.0, (self.total - self.step) / self.speed - (now - self.written))


def read_progress(folder: Path) -> Progress | None:
    """Read how far a stage is; `None` where nothing is said, or nothing that can be understood.

    Args:
        folder (`Path`): The stage's folder.
    """
    try:
        content = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # To look on must never stop anything, and nothing depends on this file.
        return None
    return Progress(**content) if isinstance(content, dict) and all(map(_fits, content.items())) else None


def _fits(entry: tuple[str, Any]) -> bool:
    name, value = entry
    if name in ("unit", "problem"):
        return isinstance(value, str) or (value is None and name == "problem")
    known = {option.name: option.default for option in dataclasses.fields(Progress)}
    if name not in known or isinstance(value, bool):
        return False
    number = isinstance(value, int | float) and math.isfinite(value)
    return number or (value is None and known[name] is None)


def write_progress(folder: Path, progress: Progress) -> None:
    """Say how far a stage is.

    Args:
        folder (`Path`): The stage's folder.
        progress ([`Progress`]): How far.
    """
    said = {name: value for name, value in dataclasses.asdict(progress).items() if value is not None}
    write_json(folder / PROGRESS, {**said, "written": time.time()})


@dataclass
class Reporter:
    """Says how far a stage is, whenever it is called, but writes about once a second.

    Args:
        folder (`Path`): The stage's folder.
        unit (`str`, *optional*, defaults to `"steps"`): What is counted.
    """

    folder: Path
    unit: str = "steps"
    _due: float = field(default=0.0, init=False)
    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), init=False)
    _accuracy: float | None = field(default=None, init=False)
    _loss: float | None = field(default=None, init=False)
    _held_out: bool = field(default=False, init=False)

    def __call__(self, step: int, total: int) -> None:
        """Say it.

        Args:
            step (`int`): Steps done.
            total (`int`): Steps in all.
        """
        now = time.monotonic()
        if not self._marks:
            self._marks.append((now, step))
        if now < self._due:
            return
        since, first = self._marks[0]
        # A training that goes on begins at its checkpoint's step: only what was done since the first mark counts.
        speed = (step - first) / (now - since) if step > first and now > since else None
        self._marks.append((now, step))
        write_progress(self.folder, Progress(step, total, self.unit, speed, self._accuracy, self._loss))
        # Where a write takes long, on a slow network disk, the next one waits fifty times as long.
        self._due = time.monotonic() + max(_EVERY_S, (time.monotonic() - now) / _SHARE)

    def measured(self, logs: Mapping[str, Any]) -> None:
        """Take note of what a trainer logs.

        Args:
            logs (`Mapping[str, Any]`): Numbers by name.
        """
        numbers = {
            name: float(value)
            for name, value in logs.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        accuracy = next((numbers[name] for name in _ACCURACIES if name in numbers), None)
        # Once a held-out accuracy is known, that of training batches, logged far more often, does not take its place.
        held_out = any(name in numbers for name in _ACCURACIES[:-1])
        if accuracy is not None and (held_out or not self._held_out):
            self._accuracy, self._held_out = accuracy, held_out
        self._loss = numbers.get("loss", self._loss)


@contextlib.contextmanager
def told_end(folder: Path, *, first: bool) -> Iterator[None]:
    """Leave in a stage's folder how its work ends: how long it took, or what went wrong. An interruption is neither.

    Args:
        folder (`Path`): The stage's folder, which is not finished.
        first (`bool`): Whether this is the process that writes; of the others only what went wrong is told.
    """
    if first:
        forget_progress(folder)
    begun = time.monotonic()
    try:
        yield
    # Ctrl-C is no such error: a stage that was interrupted has not failed.
    except Exception as error:
        tell_problem(folder, problem_of(error))
        raise
    if first:
        write_progress(folder, Progress(seconds=time.monotonic() - begun))


def forget_progress(folder: Path) -> None:
    """Forget an earlier try of a stage.

    Args:
        folder (`Path`): The stage's folder.
    """
    (folder / PROGRESS).unlink(missing_ok=True)


def tell_problem(folder: Path, problem: str) -> None:
    """Leave in a stage's folder what went wrong; where that is told already, it stays.

    Args:
        folder (`Path`): The stage's folder.
        problem (`str`): What to tell.
    """
    said = read_progress(folder) or Progress()
    # It is an error on its way to the user besides; a disk that is full, for one, cannot hold it as well.
    with contextlib.suppress(OSError):
        write_progress(folder, dataclasses.replace(said, problem=said.problem or problem))


def problem_of(error: Exception) -> str:
    """Return what to tell of an error: its message where it is of the user's making, else where it comes from.

    Args:
        error (`Exception`): The error.
    """
    return str(error) if isinstance(error, W2SError) else "".join(traceback.format_exception(error))
