"""What the report says about solutions in steps, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Heading, Table
from w2s_rm.render.numbers import bracketed, percent, percent_interval, points
from w2s_rm.report.formats import recovered
from w2s_rm.report.process.rows import ProcessRow

_HOW_TO_READ = (
    "The first mistake of a solution is found where the first step that a model judges wrong is the first one that is; "
    "of a solution without a mistake, where it judges none wrong.",
    "The right solution is chosen where the one with the highest score is right, among those of a problem that has "
    "right and wrong ones. The score is the probability of right at the step where it is lowest (minimum), the product "
    "of these over all steps (product), how far a solution goes until a step is judged wrong (first mistake), or the "
    "probability at the last step alone (last), as a model of outcomes is read.",
    "Say in advance by which score a model is to choose: the best of four is better than each.",
)


def process_blocks(rows: Sequence[ProcessRow]) -> list[Block]:
    """Compose the section about processes.

    Args:
        rows (`Sequence[ProcessRow]`): Rows of any number of runs, those of a run together.
    """
    header = (
        "Run",
        "Measure",
        "Method",
        "Of",
        "Chance %",
        "Weak %",
        "Student %",
        "Ceiling %",
        "PGR",
        "Beside baseline",
    )
    lines = [
        (
            row.recipe,
            row.measure,
            row.method,
            f"{row.n_scored:,}",
            percent(row.chance),
            percent_interval(row.weak_accuracy, row.weak_low, row.weak_high),
            percent_interval(row.student_accuracy, row.student_low, row.student_high),
            percent_interval(row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
            recovered(row.pgr, row.pgr_low, row.pgr_high, row.reliable),
            "–"
            if row.difference is None
            else bracketed(points, row.difference, row.difference_low, row.difference_high),
        )
        for row in rows
    ]
    return [Heading("Solutions in steps", 2), Table(header, tuple(lines), n_text=3), Bullets(_HOW_TO_READ)]
