"""Stage folders that no plan of a folder of runs uses any longer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w2s_rm.errors import ArtifactError, InUseError
from w2s_rm.files import set_aside
from w2s_rm.runs.folder import lock
from w2s_rm.runs.plan import PLAN, read_plan


@dataclass(frozen=True)
class Unused:
    """A folder that may go.

    Args:
        folder (`Path`): Below `stages` of the folder of runs.
        bytes (`int`): The size of its files.
    """

    folder: Path
    bytes: int


def unused_stages(runs: Path) -> list[Unused]:
    """List the folders of stages that no plan uses, the largest first.

    Args:
        runs (`Path`): The folder of all runs.

    Raises:
        ArtifactError: There is no plan, or one that cannot be read: then nothing is known to be unused.
    """
    used = _used(runs)
    entries = [Unused(folder, _size(folder)) for folder in _stages(runs) if folder.name not in used]
    return sorted(entries, key=lambda unused: (-unused.bytes, unused.folder.name))


def remove(runs: Path, folder: Path) -> None:
    """Remove the folder of a stage, unless a live process holds it or a plan has come to use it.

    Args:
        runs (`Path`): The folder of all runs.
        folder (`Path`): One of those that [`unused_stages`] lists.

    Raises:
        InUseError: It is held, or used.
    """
    with lock(folder):
        # A run writes its plan before it takes the lock of a stage: what it will use is known by now.
        if folder.name in _used(runs):
            raise InUseError(f"{folder} is used by a plan that was made just now; it is kept")
        away = set_aside(folder)
    # What is left of it after a kill has a name of its own, and is unused too.
    shutil.rmtree(away)


def _stages(runs: Path) -> Iterator[Path]:
    """The folders below `stages`; links are others' business."""
    for path in sorted((runs / "stages").iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def _used(runs: Path) -> set[str]:
    if not (runs / "stages").is_dir():
        raise ArtifactError(f"{runs}: holds no stages; give the folder of all runs")
    plans = sorted(runs.glob(f"*/{PLAN}"))
    if not plans:
        raise ArtifactError(f"{runs}: no run has a plan here, so that nothing says what is used; nothing is removed")
    try:
        # By name alone: plans hold the paths of when they were written, and the folder of runs may have moved.
        return {Path(stage["folder"]).name for plan in plans for stage in read_plan(plan.parent)["stages"]}
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{runs}: a {PLAN} lacks {error}; write it again with `w2s-rm run`") from error


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())
