"""What is left of finished stages: nothing is taken for a result that is not as it was made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from w2s_rm.runs.folder import StageFolder, is_weights, lock
from w2s_rm.stages import Stage


def set_aside_changed(stages: Sequence[Stage], say: Callable[[str], None]) -> None:
    """Set finished stages aside whose files are not what was made, so that a run makes them again.

    All is read that reports may read. Weights and features are read where a stage that is to run will read them, and
    where no stage does, as of policies and adapters: whoever takes those from here is the next to look. Of the others,
    which may be large, only the sizes are compared. A stage that is set aside is one that is to run.

    Args:
        stages (`Sequence[Stage]`): Those of a run, each after what it reads.
        say (`Callable[[str], None]`): Receives a line for each that is set aside.

    Raises:
        InUseError: Another live process holds such a stage.
    """
    # By folder: what a stage that is to run will read of it, and what any stage reads.
    wanted: defaultdict[Path, set[str]] = defaultdict(set)
    read: defaultdict[Path, set[str]] = defaultdict(set)
    for stage in stages:
        for maker, part in _read_by(stage):
            read[maker].add(part)
    # From the end: what is to run decides about what it reads.
    # Each folder once, for several roles may share one.
    for path, stage in reversed({stage.folder: stage for stage in stages}.items()):
        folder, others = StageFolder(path), frozenset(read[path] - wanted[path])
        if folder.was_finished and _problems(folder, others):
            # Nobody else sets it aside at the same time, or has just made it again.
            with lock(path):
                problems = _problems(folder, others) if folder.was_finished else []
                if problems:
                    aside = folder.set_aside()
                    say(f"! {path.name}: {'; '.join(problems)}: set aside as {aside.name}, made again")
        if not folder.was_finished:
            for maker, part in _read_by(stage):
                wanted[maker].add(part)


def _problems(folder: StageFolder, others: Iterable[str]) -> list[str]:
    """What is wrong with a stage, of whose weights some parts are for stages that are finished already."""
    return folder.problems(lambda name: not is_weights(name) or not any(_lies_in(name, part) for part in others))


def _lies_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")


def _read_by(stage: Stage) -> Iterable[tuple[Path, str]]:
    """Folder and part of all that a stage reads of others."""
    for reference in stage.references.values():
        if reference.maker is not None:
            yield reference.maker.folder, Path(reference.path).relative_to(reference.maker.folder).as_posix()
