"""The report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.report.formats import by_run, percent, pgr_text, run_name
from w2s_rm.report.notes import notes
from w2s_rm.report.rows import ReportRow

_HEADER = ("method", "weak %", "student %", "ceiling %", "PGR [95 % interval]")


def summary_text(rows: Sequence[ReportRow]) -> str:
    """Format rows as aligned plain text, with the warnings below.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
    """
    lines = [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in [_HEADER, *lines]) for column in range(len(_HEADER))]
    parts = []
    for group in by_run(rows):
        table = "\n".join(_aligned(line, widths) for line in [_HEADER, *map(_cells, group)])
        parts.append(f"{run_name(group[0])}\n{table}")
    warnings = "\n".join(f"! {sentence}" for sentence in notes(rows))
    return "\n\n".join([*parts, warnings] if warnings else parts)


def _cells(row: ReportRow) -> tuple[str, ...]:
    accuracies = (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy)
    return (row.method, *(percent(value) for value in accuracies), pgr_text(row))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:-1], widths[1:-1], strict=True)]
    return "  ".join(["  " + cells[0].ljust(widths[0]), *numbers, cells[-1]])
