"""The rows of a run's report, for one run and for two beside each other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.render.numbers import bracketed, percent, ratio, ratio_interval

REPORT = "report.json"
_ACCURACIES = {
    "weak": "weak supervisor, %",
    "student": "student, %",
    "ceiling": "ceiling, %",
    "zero_shot": "untrained student, %",
}
_PGR = "PGR"


def read_rows(path: Path | None) -> list[Mapping[str, Any]]:
    """Read the rows of a report; none where it is not there, or nothing that can be understood.

    Args:
        path (`Path`, *optional*): `report.json`.
    """
    if path is None:
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # It is written again with every report, and to look on must stop nothing.
        return []
    # A run may come from anywhere, so nothing of it is taken for granted.
    rows = content if isinstance(content, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("method"), str)]


def figures(row: Mapping[str, Any]) -> dict[str, str]:
    """Return what a row measures, each with its interval.

    Args:
        row (`Mapping[str, Any]`): A row of a report.
    """
    measured = {}
    for name, label in _ACCURACIES.items():
        value, low, high = (_number(row, f"{name}_{part}") for part in ("accuracy", "low", "high"))
        if value is not None:
            measured[label] = bracketed(percent, value, low, high)
    value = _number(row, "pgr")
    if value is not None:
        measured[_PGR] = f"{ratio(value)} {ratio_interval(_number(row, 'pgr_low'), _number(row, 'pgr_high'))}"
    return measured


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    # Python's `json` reads NaN and infinity too, which are no results.
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the rows of one run as a table, its header first; empty without rows.

    Args:
        rows (`Sequence[Mapping]`): What [`read_rows`] returned.
    """
    measured = [figures(row) for row in rows]
    header = [label for label in (*_ACCURACIES.values(), _PGR) if any(label in texts for texts in measured)]
    lines = [
        [str(row["method"]), *(texts.get(label, "–") for label in header)]
        for row, texts in zip(rows, measured, strict=True)
    ]
    return [["method", *header], *lines] if lines else []


def side_by_side(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return what two runs measured beside each other: method, figure, that of the first and that of the second.

    Args:
        first (`Sequence[Mapping]`): Rows of a run.
        second (`Sequence[Mapping]`): Rows of another one.
    """
    ours, theirs = ({str(row["method"]): figures(row) for row in rows} for rows in (first, second))
    lines = []
    # In the order of the first run, then what only the second has.
    for method in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(method, {}), theirs.get(method, {})
        for label in (*_ACCURACIES.values(), _PGR):
            if label in one or label in other:
                lines.append([method, label, one.get(label, "–"), other.get(label, "–")])
    return lines
