"""One file of rows: JSONL, CSV, Parquet. Every error names the line. Pyarrow is imported only for Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import DataError
from w2s_rm.types import Row

if TYPE_CHECKING:
    import pyarrow

JSONL_SUFFIXES = (".jsonl", ".json", ".ndjson")
SUFFIXES = (*JSONL_SUFFIXES, ".csv", ".parquet")
# Python's own limit, 131,072, is less than a long conversation.
_MOST_CHARACTERS_IN_A_CELL = 1 << 30


def bare_suffix(path: Path) -> str:
    """The suffix of a file name, that before `.gz` if it has one."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def file_rows(path: Path) -> Iterator[Row]:
    """Read one file in the format its name says.

    Args:
        path (`Path`): JSONL, CSV or Parquet file.

    Raises:
        DataError: Unknown format, or a broken file, with the line reached.
    """
    suffix = bare_suffix(path)
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix == ".csv":
        return _csv_rows(path)
    if suffix in JSONL_SUFFIXES:
        return jsonl_rows(path)
    raise DataError(f"{path}: unknown kind of file; its name must end in {', '.join(SUFFIXES)} (text also with .gz)")


def _open(path: Path) -> gzip.GzipFile | BinaryIO:
    """Open for reading, decompressed if the content (not the name) says gzip."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path) if zipped else path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line; a broken file is an error that names the line reached."""
    number = 0
    try:
        with _open(path) as file:
            # In bytes, decoded line by line: an error then knows its line, and `\r` or other marks inside a cell end
            # none.
            for number, line in enumerate(file, start=1):  # noqa: B007
                # Spreadsheets begin a file with a byte order mark.
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        # Decoding fails in the line just read, decompressing in the one after it.
        raise DataError(f"{path}:{number}: not UTF-8 ({error.reason}, byte {error.start}); save it as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}:{number + 1}: gzip truncated or damaged ({error}); fetch the file again") from error


def jsonl_rows(path: Path, *, growing: bool = False) -> Iterator[Row]:
    """Read a file of JSON objects, one a line.

    Args:
        path (`Path`): JSONL, plain or gzipped.
        growing (`bool`, *optional*, defaults to `False`): Whether lines are being added to it: a last one that has no
            line break and is broken is then passed over.

    Raises:
        DataError: A broken file, with the line reached.
    """
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except json.JSONDecodeError as error:
            if growing and not line.endswith("\n"):
                return
            raise DataError(
                f"{path}:{number}: broken JSON ({error.msg}, column {error.colno}); mend the line"
            ) from error
        if not isinstance(values, dict):
            raise DataError(f"{path}:{number}: {type(values).__name__} instead of an object; write one object a line")
        yield Row(f"{path}:{number}", values)


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(_MOST_CHARACTERS_IN_A_CELL)
    # Without `strict` a quote out of place is guessed at.
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if header is None:
                header = _csv_header(path, cells)
            # An empty line is no row; a row of one empty cell is written with quotes.
            elif cells:
                if len(cells) != len(header):
                    counts = f"{len(cells)} cells where the header has {len(header)}"
                    raise DataError(f"{path}:{reader.line_num}: {counts}; mend the line or its quotes")
                yield Row(f"{path}:{reader.line_num}", dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: broken CSV ({error}); mend the line or its quotes") from error


def _csv_header(path: Path, cells: Iterable[str]) -> list[str]:
    header = list(cells)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}:1: the header names {', '.join(map(repr, twice))} twice; rename one of the columns")
    return header


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        # So many rows at a time become Python values, which are larger than what the file holds.
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1024):
            # By the text of the type, because JSON may lie inside of lists and structs.
            written = {field.name: field.type for field in batch.schema if "arrow.json" in str(field.type)}
            for values in batch.to_pylist():
                number += 1
                parsed = {name: _parse_json(values[name], kind) for name, kind in written.items()}
                yield Row(f"{path} row {number}", {**values, **parsed})
    # A cell may hold what Python has no value for: a time of day of another age, text that is no UTF-8.
    except (OSError, pyarrow.ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{path}: broken Parquet file after row {number} ({error}); write it again") from error


def _parse_json(value: Any, kind: pyarrow.DataType) -> Any:
    """Read the JSON inside a cell: `datasets` keeps mappings of different keys so, and pyarrow leaves them as text."""
    import pyarrow

    if value is None:
        return None
    if isinstance(kind, pyarrow.JsonType):
        return parse_json(value)
    if pyarrow.types.is_struct(kind):
        return {field.name: _parse_json(value[field.name], field.type) for field in kind}
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return [_parse_json(item, kind.value_type) for item in value]
    return value
