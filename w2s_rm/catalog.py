"""Names to things: `log_confidence` is the one public dataclass of `w2s_rm/losses/log_confidence.py`.

Listing names reads a folder and imports nothing; a module is imported when its name is first used.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

from w2s_rm.errors import UnknownNameError, nearest

Kind = Literal["tasks", "losses", "labels", "settings", "corpora", "policies"]
_SINGULAR: dict[Kind, str] = {
    "tasks": "task",
    "losses": "loss",
    "labels": "label transform",
    "settings": "setting",
    "corpora": "corpus",
    "policies": "policy trainer",
}
_ROOT = Path(__file__).parent


def names(kind: Kind) -> list[str]:
    """List the registered names of a kind: its file names, sorted.

    Args:
        kind (`"tasks"`, `"losses"`, `"labels"`, `"settings"`, `"corpora"` or `"policies"`): Which folder of the
            package.
    """
    return sorted(path.stem for path in (_ROOT / kind).glob("*.py") if not path.stem.startswith("_"))


def lookup(kind: Kind, name: str) -> Any:
    """Import the module of a name and return its class: `log_confidence` -> `LogConfidence`.

    Args:
        kind (`"tasks"`, `"losses"`, `"labels"`, `"settings"`, `"corpora"` or `"policies"`): Which folder of the
            package.
        name (`str`): The registered name.

    Raises:
        UnknownNameError: No file of that name; the message gives the nearest right one.
    """
    if name not in names(kind):
        raise UnknownNameError(f"unknown {_SINGULAR[kind]} {name!r}; {nearest(name, names(kind))}")
    module = importlib.import_module(f"w2s_rm.{kind}.{name}")
    return getattr(module, class_name(name))


def class_name(name: str) -> str:
    """Return the class that belongs to a file name: words joined, each with a capital."""
    return "".join(word.capitalize() for word in name.split("_"))
