"""Names to things: `log_confidence` is the one public dataclass of `w2s_rm/losses/log_confidence.py`.

Listing names reads a folder and imports nothing; a module is imported when its name is first used. In place of a name
may stand the path of a file that holds such a class: `{name: my/focal.py, gamma: 2}`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Literal

from w2s_rm.errors import ConfigError, UnknownNameError, nearest

Kind = Literal[
    "tasks",
    "losses",
    "labels",
    "corpora",
    "policies",
    "supervisors",
    "preparations",
    "stages",
    "sections",
    "hypotheses",
]
_SINGULAR: dict[Kind, str] = {
    "tasks": "task",
    "losses": "loss",
    "labels": "label transform",
    "corpora": "corpus",
    "policies": "policy trainer",
    "supervisors": "supervisor",
    "preparations": "preparation",
    "stages": "stage",
    "sections": "report section",
    "hypotheses": "hypothesis",
}
# By what parts a class is told to be one of a kind; some have defaults in a base class of theirs.
_PARTS: dict[Kind, tuple[str, ...]] = {
    "tasks": ("rows", "content_version"),
    "losses": ("__call__", "batch_statistics", "needs_batch_statistics"),
    "labels": ("__call__", "needs", "most_left", "check_classes"),
    "corpora": ("words", "sample", "content_version"),
    "policies": ("build", "config_source"),
    "supervisors": ("supervise", "needs_truth"),
    "preparations": ("prepare",),
    "stages": ("run", "version"),
    "sections": ("rows", "blocks", "place"),
    "hypotheses": ("test", "students", "effect"),
}
# Kinds whose folder lies in that of another part.
_INSIDE: dict[Kind, str] = {"sections": "report", "hypotheses": "report"}
_ROOT = Path(__file__).parent


def singular(kind: Kind) -> str:
    """Name one component of a kind: `losses` -> `loss`.

    Args:
        kind (`str`): Which folder of the package.
    """
    return _SINGULAR[kind]


def names(kind: Kind) -> list[str]:
    """List the registered names of a kind: its file names, sorted.

    Args:
        kind (`str`): Which folder of the package.
    """
    # A file that begins with `_` holds what components of a kind share.
    return sorted(path.stem for path in _ROOT.joinpath(*_where(kind)).glob("*.py") if not path.stem.startswith("_"))


def knows(kind: Kind, name: str) -> bool:
    """Whether a name is registered, or is the path of a file.

    Args:
        kind (`str`): Which folder of the package.
        name (`str`): A registered name, or a path that ends in `.py`.
    """
    return name in names(kind) or _is_file(name)


def lookup(kind: Kind, name: str) -> Any:
    """Import the module of a name and return its class: `log_confidence` -> `LogConfidence`.

    Args:
        kind (`str`): Which folder of the package.
        name (`str`): The registered name, or the path of a file.

    Raises:
        UnknownNameError: No file of that name; the message gives the nearest right one.
        ConfigError: A file of one's own that Python cannot import, or that has no such class.
    """
    if _is_file(name):
        # One path for one file, however it is written: `_load` keeps modules by it.
        path = Path(name).resolve()
        component = getattr(_load(path), class_name(path.stem), None)
        if not isinstance(component, type):
            raise ConfigError(f"{name}: no class {class_name(path.stem)} in it; name the class after the file")
        lacking = [part for part in _PARTS[kind] if not hasattr(component, part)]
        # Its fields are the options; a section has none.
        if kind != "sections" and not dataclasses.is_dataclass(component):
            lacking.insert(0, "@dataclass above it")
        if lacking:
            raise ConfigError(
                f"{name}: {component.__name__} is no {_SINGULAR[kind]}, for it has no {' and no '.join(lacking)}; "
                f"w2s_rm/{'/'.join(_where(kind))}/ shows what one has"
            )
        return component
    if name not in names(kind):
        raise UnknownNameError(f"unknown {_SINGULAR[kind]} {name!r}; {nearest(name, names(kind))}")
    module = importlib.import_module(".".join(["w2s_rm", *_where(kind), name]))
    return getattr(module, class_name(name))


def name_of(component: type) -> str:
    """Return the name under which [`lookup`] finds a class in any process: registered, or the path of its file.

    Args:
        component (`type`): A class that [`lookup`] returned, or that of the program that runs.
    """
    module = component.__module__
    if module == "__main__" and (spec := sys.modules[module].__spec__) is not None:
        # The module that `python -m` runs does not know its own name.
        module = spec.name
    return module.rpartition(".")[2] if module.startswith("w2s_rm.") else str(sys.modules[module].__file__)


def identity(name: str) -> str:
    """Return what a name adds to a hash: itself, or the content of a file, wherever it lies.

    Args:
        name (`str`): A registered name, or the path of a file.
    """
    return hashlib.sha256(Path(name).read_bytes()).hexdigest() if _is_file(name) else name


def _where(kind: Kind) -> list[str]:
    """The folder of a kind, from the package's root down."""
    return [_INSIDE[kind], kind] if kind in _INSIDE else [kind]


def _is_file(name: str) -> bool:
    return name.endswith(".py") and Path(name).is_file()


def _load(path: Path) -> Any:
    # Two files may have the same name, also that of a component of the package.
    name = f"_files.{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        # Before it is executed: dataclasses look their own module up.
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        # A file that ends the interpreter would end whoever plans with it, without a word.
        except (Exception, SystemExit) as error:
            # Or a second look-up would find half of a module and no error.
            del sys.modules[name]
            raise ConfigError(f"{path}: cannot be imported ({type(error).__name__}: {error}); mend it") from error
    return sys.modules[name]


def class_name(name: str) -> str:
    """Return the class that belongs to a file name: words joined, each with a capital."""
    return "".join(word.capitalize() for word in name.split("_"))
