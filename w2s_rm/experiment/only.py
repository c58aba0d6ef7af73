"""Some of the stages of a run: those that a user names, with all that they need."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from w2s_rm.errors import UnknownNameError
from w2s_rm.experiment.jobs import Job

_NEAREST = 3


def chosen(jobs: Sequence[Job], name: str) -> frozenset[Path]:
    """Return the folders of the stages that a name means, and of those that they need.

    Args:
        jobs (`Sequence[Job]`): All stages, numbered as `w2s-rm plan` prints them.
        name (`str`): A stage's number, its folder's name, or its title; a title without its seed means all seeds.

    Raises:
        UnknownNameError: No stage is called so; the message has the nearest names.
    """
    matches = [job for number, job in enumerate(jobs, start=1) if name in (str(number), *_names(job))]
    if not matches:
        raise UnknownNameError(f"--only {name!r}: no such stage; {_nearest(name, jobs)}")
    needs = {job.stage.folder: job.needs for job in jobs}
    folders: set[Path] = set()
    waiting: list[Path] = [job.stage.folder for job in matches]
    while waiting:
        folder = waiting.pop()
        if folder not in folders:
            folders.add(folder)
            waiting += needs[folder]
    return frozenset(folders)


def _names(job: Job) -> Iterable[str]:
    # With and without the recipe's name, which `unite` puts in front where there are several.
    for title in dict.fromkeys((job.title, job.stage.title)):
        yield title
        yield title.removesuffix(f" seed {job.stage.seed}")
    yield job.stage.folder.name


def _nearest(name: str, jobs: Sequence[Job]) -> str:
    if name.isdigit():
        return f"they are numbered from 1 to {len(jobs)}"
    near = difflib.get_close_matches(name, dict.fromkeys(each for job in jobs for each in _names(job)), n=_NEAREST)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "`w2s-rm plan` shows them all"
