"""What may be read: regular files below the folder of runs, and the stages that runs share in the cache.

A name is one entry of a folder, never a path, and no link below the folder is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from w2s_rm.data.cache import cache_folder
from w2s_rm.runs.plan import PLAN

_STAGES = "stages"


@dataclass(frozen=True)
class Places:
    """The folder of all runs.

    Args:
        root (`Path`): Resolved: it may itself be reached by a link.
        cache (`Path`, *optional*): Where runs keep stages that they share; by default the user's cache folder.
    """

    root: Path
    cache: Path = field(default_factory=cache_folder)

    def runs(self) -> dict[str, Path]:
        """Return the folders of runs by name, that whose plan was written last first."""
        # A run is a folder with a plan; the folders of stages and of joint reports have none.
        plans = [plan for name in os.listdir(self.root) if (plan := within(self.root, name, PLAN)) is not None]
        plans.sort(key=lambda plan: -plan.stat().st_mtime)
        return {plan.parent.name: plan.parent for plan in plans}

    def stage(self, name: str) -> Path | None:
        """Return the folder of a stage; `None` where there is none.

        Args:
            name (`str`): The folder's name, as a plan has it; of its path nothing else counts.
        """
        # Pretrained and converted models are stages too, and lie in the cache for all runs.
        folders = (_entry(root, (_STAGES, name), stat.S_ISDIR) for root in (self.root, self.cache))
        return next((folder for folder in folders if folder is not None), None)


def within(root: Path, *names: str) -> Path | None:
    """Return a file below a folder; `None` where there is no regular file, or where a name or a link leads elsewhere.

    Args:
        root (`Path`): The folder.
        names (`str`): Folders in it and the file, each a name alone.
    """
    return _entry(root, names, stat.S_ISREG)


def _entry(root: Path, names: tuple[str, ...], is_right: Callable[[int], bool]) -> Path | None:
    if not all(map(_plain, names)):
        return None
    path = os.fspath(root)
    for place, name in enumerate(names, start=1):
        path = f"{path}/{name}"
        try:
            # Of the link itself, not of what it leads to; and of each folder on the way, for a link there leads
            # elsewhere as well.
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):
            return None
        if not (is_right if place == len(names) else stat.S_ISDIR)(mode):
            return None
    return Path(path)


def _plain(name: str) -> bool:
    """Whether something names an entry of a folder, and not a path."""
    return bool(name) and name not in (".", "..") and not any(sign in name for sign in "/\\\0")
