"""What a terminal shows while stages run: a line for each that runs, and one for all. Elsewhere plain lines.

It is read from the stages' folders, so that it is the same whoever runs them, here or on Ray.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.experiment.jobs import Job
from w2s_rm.experiment.run import Say, print_line
from w2s_rm.render.numbers import counted, duration, rate, share
from w2s_rm.runs.folder import MANIFEST
from w2s_rm.runs.processes import WATCHED_VARIABLE
from w2s_rm.runs.progress import Progress
from w2s_rm.runs.standing import DONE, RUNNING, Standing, expected_rest, stand

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Redrawn twice a second, as often as can be read.
_A_SECOND = 2
# Bars of libraries would be drawn into ours.
_VARIABLES = {WATCHED_VARIABLE: "1", "TQDM_DISABLE": "1"}


@dataclass
class Watched:
    """The stages of a run, looked at again and again.

    Args:
        jobs (`Sequence[Job]`): What is run.
    """

    jobs: Sequence[Job]
    _done: dict[Path, Standing] = field(default_factory=dict, init=False)
    _cached: set[Path] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.look(time.time())
        # What was there before the run began.
        self._cached = set(self._done)

    def look(self, now: float) -> dict[Path, Standing]:
        """Look how all stages stand.

        Args:
            now (`float`): Seconds since 1970.
        """
        standings = {job.stage.folder: self._stand(job.stage.folder, now) for job in self.jobs}
        self._done = {folder: standing for folder, standing in standings.items() if standing.state == DONE}
        # One that a run has set aside is to be made again.
        self._cached &= set(self._done)
        return standings

    def _stand(self, folder: Path, now: float) -> Standing:
        kept = self._done.get(folder)
        # Most are done, and stay so as long as their manifest is there; this is asked twice a second.
        return kept if kept is not None and (folder / MANIFEST).exists() else stand(folder, now)

    def lines(self, now: float) -> tuple[list[tuple[str, Progress]], str]:
        """Return title and progress of each stage that runs, and a line about all.

        Args:
            now (`float`): Seconds since 1970.
        """
        standings = self.look(now)
        running = [
            (job.title, standing.progress or Progress())
            for job in self.jobs
            if (standing := standings[job.stage.folder]).state == RUNNING
        ]
        cached = len(self._cached)
        done = len(self._done) - cached
        rest = len(self.jobs) - len(self._done) - len(running)
        words = [f"{cached} cached", f"{done} done", f"{len(running)} running", f"{rest} to come"]
        return (
            running,
            f"{counted(len(self.jobs), 'stage')}: {', '.join(words)}{expected_text(self.jobs, standings, now)}",
        )


def expected_text(jobs: Sequence[Job], standings: dict[Path, Standing], now: float) -> str:
    """Say how long the rest will take, one stage after the other; empty where nothing is to come or known.

    Args:
        jobs (`Sequence[Job]`): The stages.
        standings (`dict[Path, Standing]`): How each stands, by its folder.
        now (`float`): Seconds since 1970.
    """
    kinds = {job.stage.folder: (job.stage.kind, job.stage.of) for job in jobs}
    rest = expected_rest(standings, kinds, now)
    if not rest.seconds:
        return ""
    more = f", and {counted(rest.unknown, 'stage')} of unknown length" if rest.unknown else ""
    return f"; about {duration(rest.seconds)} left{more}"


@contextlib.contextmanager
def watching(jobs: Sequence[Job]) -> Iterator[Say]:
    """Show on standard error how far stages are, where that is a terminal; yield what says a line.

    Args:
        jobs (`Sequence[Job]`): What is run meanwhile.
    """
    if not sys.stderr.isatty():
        yield print_line
        return
    from rich.console import Console

    with drawn(jobs, Console(stderr=True)) as say:
        yield say


@contextlib.contextmanager
def drawn(jobs: Sequence[Job], console: Console) -> Iterator[Say]:
    """Draw on a console how far stages are; what else is printed stands above.

    Args:
        jobs (`Sequence[Job]`): What is run meanwhile.
        console (`Console`): Where to draw.
    """
    from rich.live import Live
    from rich.text import Text

    watched = Watched(jobs)
    # Stages inherit the environment of the process that launches them.
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(_VARIABLES)
    try:
        with Live(
            get_renderable=lambda: table(watched, time.time()),
            console=console,
            refresh_per_second=_A_SECOND,
            # What was drawn goes at the end, and the lines that were said stay.
            transient=True,
        ):
            # As `Text`, for rich would take brackets in a line for markup; wrapped by the terminal alone, so that a
            # line can be copied whole.
            yield lambda line: console.print(Text(line), soft_wrap=True)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def table(watched: Watched, now: float) -> RenderableType:
    """Lay out what is shown.

    Args:
        watched ([`Watched`]): The stages.
        now (`float`): Seconds since 1970.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    running, summary = watched.lines(now)
    if not running:
        return Text(summary, style="dim")
    grid = Table.grid(padding=(0, 2))
    for title, progress in running:
        bar: Any = ""
        if progress.total:
            bar = ProgressBar(total=progress.total, completed=progress.step or 0, width=16)
        grid.add_row(Text(title, style="bold"), bar, *map(Text, cells(progress, now)))
    # The last stages of a run with many models may need more lines than there are; rich shows the first ones.
    return Group(Text(summary, style="dim"), grid)


def cells(progress: Progress, now: float) -> tuple[str, str, str, str]:
    """Say of a stage that runs: step, speed, time left, and what is measured.

    Args:
        progress ([`~w2s_rm.runs.progress.Progress`]): How far it is.
        now (`float`): Seconds since 1970.
    """
    if progress.step is None or progress.total is None:
        return "runs", "", "", ""
    left = progress.left(now)
    measured = ""
    if progress.accuracy is not None:
        measured = f"accuracy {share(progress.accuracy)}"
    elif progress.loss is not None:
        measured = f"loss {progress.loss:.3f}"
    return (
        f"{progress.step} of {progress.total} {progress.unit}",
        "" if progress.speed is None else f"{rate(progress.speed)}/s",
        "" if left is None else f"{duration(left)} left",
        measured,
    )
