"""Recipes, accelerate configs and examples: beside the package in a checkout, inside it where it is installed."""

from __future__ import annotations

from pathlib import Path

KINDS = {"recipes": ".yaml", "deepspeed_configs": ".yaml", "examples": ".py"}
"""The folders that come along, each with the ending of what one uses by its path."""
_PACKAGE = Path(__file__).resolve().parent
# `pyproject.toml` maps the folders there when a wheel is built.
_ROOT = _PACKAGE if (_PACKAGE / "recipes").is_dir() else _PACKAGE.parent


def folder(kind: str) -> Path:
    """Return a folder that comes along.

    Args:
        kind (`str`): One of `KINDS`.
    """
    return _ROOT / kind


def files(kind: str) -> list[Path]:
    """List what one uses by its path in a folder that comes along, sorted.

    Args:
        kind (`str`): One of `KINDS`.
    """
    return sorted(folder(kind).rglob(f"*{KINDS[kind]}"))


def find(path: str | Path) -> Path:
    """Find a file by its path; where there is none, a path such as `recipes/quickstart.yaml` means what comes along.

    Args:
        path (`str` or `Path`): From the folder in which the command runs.

    Returns:
        `Path`: The path itself if there is something, or if it means nothing that comes along either.
    """
    asked = Path(path)
    ours = _ROOT / asked
    # What the user has at this place comes first, such as a copy of a recipe that was changed.
    if asked.exists() or asked.is_absolute() or asked.parts[:1] not in [(kind,) for kind in KINDS]:
        return asked
    # The path as it was written, so that whoever finds nothing there names what the user wrote.
    return ours if ours.is_file() else asked
