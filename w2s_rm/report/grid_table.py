"""Runs over the same task with several weak and strong models, as matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from w2s_rm.render.elements import Block, Cell, Heading, Paragraph, Table
from w2s_rm.render.numbers import percent_hover, ratio, ratio_hover
from w2s_rm.report.formats import supervisor_name
from w2s_rm.report.rows import ReportRow

_HOW_TO_READ = (
    "A line is a supervisor, a column the model of student and ceiling. A PGR in parentheses is not reliable, a dash "
    "stands where there is none: without a run, or without a gap."
)


def grid_blocks(rows: Sequence[ReportRow]) -> list[Block]:
    """Show student accuracy and PGR by weak and strong model, a table for each task and method.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs.

    Returns:
        `list[Block]`: Empty where no task and method has both several weak and several strong models.
    """
    tables = []
    # Grids on one task may differ in their seeds.
    for key in dict.fromkeys((row.setting, row.task, row.method, row.seeds) for row in rows):
        group = [row for row in rows if (row.setting, row.task, row.method, row.seeds) == key]
        _, task, method, _ = key
        cells = {(supervisor_name(row), row.strong_model): row for row in group}
        sizes = [len({pair[side] for pair in cells}) for side in (0, 1)]
        # Runs that differ in something else as well are no grid: which of them a cell shows would be chance.
        if min(sizes) > 1 and len(cells) == len(group):
            tables.append(_table(f"{task}, {method}: student %", cells, _student))
            tables.append(_table(f"{task}, {method}: PGR", cells, _pgr))
    return [Heading("Weak model by strong model", 2), Paragraph(_HOW_TO_READ), *tables] if tables else []


def _student(row: ReportRow) -> Cell:
    return percent_hover(row.student_accuracy, row.student_low, row.student_high)


def _pgr(row: ReportRow) -> Cell:
    # Short, for a matrix has no room for words; what parentheses mean stands above it.
    text = ratio(row.pgr) if row.reliable or row.pgr is None else f"({ratio(row.pgr)})"
    return ratio_hover(row.pgr, row.pgr_low, row.pgr_high, text)


def _table(title: str, cells: dict[tuple[str, str], ReportRow], text: Callable[[ReportRow], Cell]) -> Table:
    weak, strong = (list(dict.fromkeys(pair[side] for pair in cells)) for side in (0, 1))
    lines = [
        (name, *(text(cells[name, other]) if (name, other) in cells else "–" for other in strong)) for name in weak
    ]
    return Table((title, *strong), tuple(lines))
