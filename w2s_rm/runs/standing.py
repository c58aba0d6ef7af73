"""How the stages of a run stand, seen from their folders alone: nothing is locked, nothing is written."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from w2s_rm.runs.folder import MANIFEST, holder_lives
from w2s_rm.runs.progress import PROGRESS, Progress, read_progress

WAITING, RUNNING, STOPPED, FAILED, DONE = STATES = ("waiting", "running", "stopped", "failed", "done")
"""A stage that is stopped was interrupted, and goes on when its recipe is run again; one that waits has not begun."""
# Of a holder on another machine it is known that it lives when it writes.
_SILENT_S = 600.0


@dataclass(frozen=True)
class Standing:
    """How a stage stands.

    Args:
        state (`str`): One of `STATES`.
        progress ([`~w2s_rm.runs.progress.Progress`], *optional*): How far it is, or what went wrong.
        finished (`float`, *optional*): When it was finished, seconds since 1970.
    """

    state: str
    progress: Progress | None = None
    finished: float | None = None


@dataclass(frozen=True)
class Rest:
    """What is still to come of a run.

    Args:
        seconds (`float`): One stage after the other, as far as is known.
        unknown (`int`): Stages that are to come of which nothing is known.
    """

    seconds: float
    unknown: int


def stand(folder: Path, now: float) -> Standing:
    """Look how a stage stands.

    Args:
        folder (`Path`): The stage's folder.
        now (`float`): Seconds since 1970.
    """
    progress = read_progress(folder)
    try:
        return Standing(DONE, progress, (folder / MANIFEST).stat().st_mtime)
    except OSError:
        # Not there: the stage is not finished.
        pass
    # Before its holder is asked for: a process tells what went wrong while it still lives.
    if progress is not None and progress.problem is not None:
        return Standing(FAILED, progress)
    lives = holder_lives(folder)
    if lives or (lives is None and now - _touched(folder) < _SILENT_S):
        return Standing(RUNNING, progress)
    return Standing(WAITING if progress is None else STOPPED, progress)


def _touched(folder: Path) -> float:
    """When a holder on another machine was last seen to write."""
    times = [0.0]
    for path in (folder / ".lock", folder / PROGRESS):
        # A folder may be set aside in any moment.
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def expected_rest(standings: Mapping[Path, Standing], kinds: Mapping[Path, object], now: float) -> Rest:
    """Expect that a stage takes as long as those of its kind took, and one that runs as long as its speed says.

    Args:
        standings (`Mapping[Path, Standing]`): How each stage stands, by its folder.
        kinds (`Mapping[Path, object]`): What stages of about the same duration have in common.
        now (`float`): Seconds since 1970.
    """
    took: defaultdict[object, list[float]] = defaultdict(list)
    for folder, standing in standings.items():
        if standing.state == DONE and standing.progress is not None and standing.progress.seconds is not None:
            took[kinds[folder]].append(standing.progress.seconds)
    left = [
        _left(standing, took[kinds[folder]], now) for folder, standing in standings.items() if standing.state != DONE
    ]
    known = [seconds for seconds in left if seconds is not None]
    return Rest(sum(known), len(left) - len(known))


def _left(standing: Standing, took: Sequence[float], now: float) -> float | None:
    if standing.progress is not None:
        # One that is stopped does not come nearer to its end while time passes.
        own = standing.progress.left(now if standing.state == RUNNING else standing.progress.written)
        if own is not None:
            return own
    return fmean(took) if took else None


def counted(standings: Iterable[Standing]) -> dict[str, int]:
    """Count the stages in each state, in the order of `STATES`.

    Args:
        standings (`Iterable[Standing]`): How each stage stands.
    """
    states = [standing.state for standing in standings]
    return {state: states.count(state) for state in STATES}
