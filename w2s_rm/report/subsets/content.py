"""What the report says about subsets of the test examples, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import percent, percent_interval
from w2s_rm.report.formats import recovered
from w2s_rm.report.subsets.groupings import GROUPINGS
from w2s_rm.report.subsets.rows import SubsetRow

FIGURE = "subsets"
_HOW_TO_READ = (
    "Length difference is that of the longest and the shortest candidate, in characters. The supervisor's confidence "
    "is the probability that it gives to what it chooses, mean over seeds. Both are known without the truth: quarters "
    "of the test examples, unequal where many have the same value.",
    "How many of the supervisors of all seeds err sorts examples from easy to hard, but by the outcome itself: where "
    "none errs the supervisor is right by construction, where all err it is wrong, and other models seem worse on the "
    "first and better on the last than on examples chosen in another way. Compare students and ceilings within such a "
    "group with each other, not with their supervisor; PGR where all err says how much of the errors is undone.",
    "Groups are smaller than the test split, and their intervals hold one by one, not all together.",
)


def subset_blocks(rows: Sequence[SubsetRow]) -> list[Block]:
    """Compose the section about subsets.

    Args:
        rows (`Sequence[SubsetRow]`): Rows of any number of runs, those of a run together.
    """
    tables = [_table(subset, [row for row in rows if row.subset == subset]) for subset in GROUPINGS]
    return [
        Heading("Subsets of the test examples", 2),
        # A grouping that divides the examples of no run has no lines.
        *(table for table in tables if table.lines),
        Figure(_description(rows), FIGURE),
        Bullets(_HOW_TO_READ),
    ]


def _table(subset: str, rows: Sequence[SubsetRow]) -> Table:
    header = ("Run", "Method", f"By {subset}", "Values", "Examples", "Weak %", "Student %", "Ceiling %", "PGR")
    lines = [
        (
            row.recipe,
            row.method,
            row.group,
            _values(row),
            f"{row.n_scored:,}",
            percent_interval(row.weak_accuracy, row.weak_low, row.weak_high),
            percent_interval(row.student_accuracy, row.student_low, row.student_high),
            percent_interval(row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
            recovered(row.pgr, row.pgr_low, row.pgr_high, row.reliable),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=4)


def _values(row: SubsetRow) -> str:
    low, high = f"{row.from_value:.3g}", f"{row.to_value:.3g}"
    return low if low == high else f"{low} to {high}"


def _description(rows: Sequence[SubsetRow]) -> str:
    parts = [
        f"{row.recipe}, {row.method}, {row.subset}, {row.group}: {percent(row.student_accuracy)} %" for row in rows
    ]
    return "Accuracy of weak supervisor, students and ceiling in groups of test examples. Students: " + "; ".join(parts)
