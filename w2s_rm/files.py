"""Files and folders that are there completely or not at all. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file or folder to write to, which takes its place once all is written.

    What is written is on the disk before it is renamed; after an error, or in a process that is stopped, what was there
    before still is. A process that is killed leaves `.<name>.<process>-<random>.tmp`.

    Args:
        path (`Path`): File or folder to write; the folder it lies in is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield unfinished
        put_in_place(unfinished, path)
    finally:
        _remove(unfinished)


def put_in_place(finished: Path, path: Path) -> None:
    """Let what was written elsewhere on the same disk take its place, and that of what was there before.

    Args:
        finished (`Path`): File or folder, complete.
        path (`Path`): Where it shall be.
    """
    if finished.is_dir():
        # A folder cannot be renamed to where another one stands.
        _remove(path)
    else:
        with finished.open("rb") as file:
            # Renamed before its content is on the disk, it may be an empty file after a power cut.
            os.fsync(file.fileno())
    finished.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file completely or not at all.

    Args:
        path (`Path`): Where the data go; the folder is made.
        data (`bytes`): The content.
    """
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with [`write_bytes`]."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON with [`write_text`]; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    """Write YAML with [`write_text`], keys in their own order."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
