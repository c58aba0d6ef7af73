"""Cells of a row of labels: a name, a number, a list. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import DataError, join_problems
from w2s_rm.types import Row


def parse_each(path: str | Path, rows: Sequence[Row], parse: Callable[[Row], Any]) -> list[Any]:
    """Parse all rows; report all that cannot be parsed.

    Args:
        path (`str` or `Path`): The file, for the message.
        rows (`Sequence[Row]`): Its rows.
        parse (`Callable[[Row], Any]`): Raises `DataError` for a row that it cannot read.

    Raises:
        DataError: Rows that cannot be parsed, all of them with their lines.
    """
    parsed, problems = [], []
    for row in rows:
        try:
            parsed.append(parse(row))
        except DataError as error:
            problems.append(f"{row.place}: {error}")
    if problems:
        raise DataError(join_problems(f"{path}: labels that cannot be read", problems))
    return parsed


def name_in(row: Row, column: str) -> str:
    """Return what names something: any cell but an empty one, as text.

    Args:
        row (`Row`): The row.
        column (`str`): Its column.

    Raises:
        DataError: The cell is empty.
    """
    value = row.values.get(column)
    # Not whatever is false: 0 is a name.
    if value is None or value == "":
        raise DataError(f"{column} is empty")
    return str(value)


def number_of(value: Any, column: str) -> float:
    """Return a number, which may be written as text.

    Args:
        value (`Any`): A cell.
        column (`str`): Its column, for the message.

    Raises:
        DataError: It is none.
    """
    try:
        # NaN and infinities are numbers here: what a number may be is for those to say who use it.
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{column} holds {value!r}, not a number") from error


def list_in(row: Row, column: str) -> list[Any]:
    """Return a list, which may be written as JSON.

    Args:
        row (`Row`): The row.
        column (`str`): Its column.

    Raises:
        DataError: The cell holds none.
    """
    value = row.values.get(column)
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except json.JSONDecodeError as error:
            raise DataError(f"{column} is {value!r}, not a JSON list") from error
    if not isinstance(value, list):
        raise DataError(f"{column} is {value!r}, not a list")
    return value
