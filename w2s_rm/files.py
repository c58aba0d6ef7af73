"""Files and folders that are there completely or not at all, and that tell when they were changed since. No torch."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import yaml

_CHECKSUM = "checksum"
_BLOCK = 1 << 20
# PyYAML has it only where it was built with libyaml.
_SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DIGITS = 32
"""Length of what [`digest`] returns."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file or folder to write to, which takes its place once all is written.

    What is written is on the disk before it is renamed; after an error, or in a process that is stopped, what was there
    before still is. A process that is killed leaves `.<name>.<process>-<random>.tmp`.

    Args:
        path (`Path`): File or folder to write; the folder it lies in is made.

    Raises:
        OSError: Of whatever writes; it names the path where it named none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, for only within one file system is renaming one step; the random part, for threads, and for
    # processes in other containers, which may have the same number.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield unfinished
        put_in_place(unfinished, path)
    except OSError as error:
        # Libraries that write say what failed, and not where.
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
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
        # Until it is renamed there is neither of the two: whoever looks finds a folder missing, and never half of one.
        _remove(path)
    else:
        with finished.open("rb") as file:
            # Renamed before its content is on the disk, it may be an empty file after a power cut.
            os.fsync(file.fileno())
    finished.replace(path)


def set_aside(path: Path) -> Path:
    """Rename a file or folder to a name beside it that is free.

    Args:
        path (`Path`): What is in the way.

    Returns:
        `Path`: Its place now, `<name>.aside-<n>`.
    """
    places = (path.with_name(f"{path.name}.aside-{number}") for number in itertools.count(1))
    return path.rename(next(place for place in places if not place.exists()))


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


def parse_yaml(text: str) -> Any:
    """Parse YAML as [`write_yaml`] writes it: by the C library where PyYAML has it, five times as fast.

    Args:
        text (`str`): The content of a file.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    loader = _SAFE_LOADER(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def append_line(path: Path, line: str) -> None:
    """Add a line to the end of a file; when this returns, it is on the disk.

    Processes that do so at once wait for each other. What one that was killed has left of a line is cut off first; a
    JSON object that lacks nothing but its line break, as an editor may leave it, gets that.

    Args:
        path (`Path`): The file; made if absent, as is its folder.
        line (`str`): Without a line break.

    Raises:
        OSError: The line cannot be written; the file is as it was, but for what was cut off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened each time, for whoever edits the file puts another one in its place.
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size, lacking = _whole(file)
        file.truncate(size)
        try:
            rest = lacking + line.encode("utf-8") + b"\n"
            # Unbuffered files may write less than they are given.
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise
    if size == 0:
        _sync_folder(path.parent)


def cut_unfinished_line(path: Path) -> bool:
    """Remove what a process that was killed has left of a last line, and say whether there was anything.

    A JSON object that lacks nothing but its line break is no such thing: it gets that.

    Args:
        path (`Path`): A file of lines, or none.
    """
    if not path.exists():
        return False
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end, lacking = _whole(file)
        unfinished = end < file.seek(0, os.SEEK_END)
        file.truncate(end)
        file.seek(end)
        file.write(lacking)
    return unfinished


def _whole(file: IO[bytes]) -> tuple[int, bytes]:
    """Up to where lines are whole, and the line break that the last of them lacks."""
    end = _end_of_lines(file)
    file.seek(end)
    rest = file.read()
    return (end + len(rest), b"\n") if _is_object(rest) else (end, b"")


def _is_object(data: bytes) -> bool:
    # No beginning of an object is one itself.
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _end_of_lines(file: IO[bytes]) -> int:
    """Where the last line that is whole ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        # Backwards, a block at a time: the file may be long, and its last line is near the end.
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _sync_folder(folder: Path) -> None:
    # A new file is in its folder only when that is on the disk too.
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def digest(data: bytes) -> str:
    """Return what identifies content: the first 128 bits of its SHA-256, which processors compute themselves.

    Args:
        data (`bytes`): The content.
    """
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def checksums(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return size and checksum of files: `{name: {"bytes": size, "sha256": digest}}`.

    Args:
        folder (`Path`): Where they lie.
        names (`Iterable[str]`): Their paths in it.
    """
    listed = list(names)
    # Threads, because hashing lets go of the interpreter: a checkpoint has as many large files as it has ranks.
    with ThreadPoolExecutor() as pool:
        digests = pool.map(_file_digest, [folder / name for name in listed])
        return {
            name: {"bytes": (folder / name).stat().st_size, "sha256": checksum}
            for name, checksum in zip(listed, digests, strict=True)
        }


def _file_digest(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
    return sha256.hexdigest()[:DIGITS]


def changes(folder: Path, expected: Mapping[str, Mapping[str, Any]], *, content: bool) -> list[str]:
    """Say which files are not as they were when [`checksums`] saw them: one line each, the file's name first.

    Args:
        folder (`Path`): Where they lie.
        expected (`Mapping`): What [`checksums`] returned.
        content (`bool`): Whether to read the files; otherwise only their sizes are compared.
    """
    problems: dict[str, str] = {}
    for name, entry in expected.items():
        path = folder / name
        if not path.is_file():
            problems[name] = f"{name} is gone"
        elif (size := path.stat().st_size) != entry["bytes"]:
            problems[name] = f"{name} has {size:,} bytes, {entry['bytes']:,} were written"
    # Sizes first: they cost nothing, and a file that fails there need not be read.
    same = [name for name in expected if name not in problems] if content else []
    for name, entry in checksums(folder, same).items():
        if entry != expected[name]:
            problems[name] = f"{name} is not what was written (its checksum is another)"
    return [problems[name] for name in expected if name in problems]


def write_signed(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with [`write_json`], and a checksum of its own in it.

    Args:
        path (`Path`): Where it goes.
        record (`Mapping[str, Any]`): Plain data.
    """
    write_json(path, {**record, _CHECKSUM: _record_digest(record)})


def read_signed(path: Path) -> dict[str, Any]:
    """Read what [`write_signed`] wrote, without the checksum.

    Args:
        path (`Path`): JSON.

    Raises:
        OSError: There is no such file.
        ValueError: It is no such record, or not as it was written; the message is a clause about the file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"does not parse ({error})") from error
    if not isinstance(record, dict):
        raise ValueError("holds no JSON object")
    if _CHECKSUM not in record:
        raise ValueError("has no checksum: an older version wrote it")
    expected = record.pop(_CHECKSUM)
    if expected != _record_digest(record):
        raise ValueError("is not what was written (its checksum is another)")
    return record


def _record_digest(record: Mapping[str, Any]) -> str:
    # Of the content, as whoever reads it finds it: keys are text there, and tuples lists.
    plain = json.loads(json.dumps(record))
    return digest(json.dumps(plain, sort_keys=True).encode())
