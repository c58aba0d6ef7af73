"""What the report says about sizes, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import bracketed, percent, points, ratio
from w2s_rm.report.sizes.rows import CurveFacts, SizeRow, by_grid

FIGURE = "sizes"
_HOW_TO_READ = (
    "A size is layers × width², about a twelfth of a model's parameters without embeddings. The logit of the student's "
    "accuracy is a straight line in the logarithms of both sizes, so that no curve leaves 0 to 100 %, and so is PGR, "
    "fitted to what students gain: a pair with a small gap, whose PGR is noise, counts little.",
    "Errors left out: each size was left out in turn, as supervisor and as student, and the accuracy of its students "
    "predicted by the curve through all others. Inside are sizes between others, outside the smallest and the largest. "
    "In parentheses is the error of a prediction that knows no sizes. A curve that is not better than that says "
    "nothing.",
    "Intervals are of 95 %, over test examples and seeds, given that the form is right; the errors left out say how "
    "far it is. Of the size beyond the grid nothing was measured.",
)


def size_blocks(rows: Sequence[SizeRow]) -> list[Block]:
    """Compose the section about sizes.

    Args:
        rows (`Sequence[SizeRow]`): At least one.
    """
    grids = by_grid(rows)
    return [
        Heading("Size of supervisor and student", 2),
        _curves(grids),
        Figure(_description(grids), FIGURE),
        *([_beyond(grids)]),
        Bullets(_HOW_TO_READ),
    ]


def _curves(grids: Sequence[Sequence[SizeRow]]) -> Table:
    header = (
        *("Grid", "Curve", "Twice the supervisor adds", "Twice the student adds"),
        *("Error left out, inside", "Error left out, outside"),
    )
    lines = []
    for rows in grids:
        # All rows of a grid carry its curves.
        first = rows[0]
        for name, facts in (("accuracy (logit)", first.accuracy_curve), ("PGR", first.pgr_curve)):
            if facts is not None:
                lines.append((_grid_name(first), name, *_facts(facts)))
    return Table(header, tuple(lines), n_text=2)


def _facts(facts: CurveFacts) -> tuple[str, ...]:
    return (
        bracketed(ratio, facts.weak_doubling, facts.weak_doubling_low, facts.weak_doubling_high),
        bracketed(ratio, facts.strong_doubling, facts.strong_doubling_low, facts.strong_doubling_high),
        _error(facts.inside_error, facts.inside_constant_error),
        _error(facts.outside_error, facts.outside_constant_error),
    )


def _error(error: float | None, constant: float | None) -> str:
    return "–" if error is None or constant is None else f"{points(error)} points ({points(constant)})"


def _beyond(grids: Sequence[Sequence[SizeRow]]) -> Table:
    header = ("Grid", "Supervisor", "Student of size", "Accuracy predicted %", "PGR predicted")
    lines = [
        (
            _grid_name(row),
            row.weak_model,
            f"{row.strong_size:,.0f}, outside",
            bracketed(percent, row.fitted_accuracy, row.fitted_accuracy_low, row.fitted_accuracy_high),
            "–"
            if row.fitted_pgr is None
            else bracketed(ratio, row.fitted_pgr, row.fitted_pgr_low, row.fitted_pgr_high),
        )
        for rows in grids
        for row in rows
        if row.outside
    ]
    return Table(header, tuple(lines), n_text=3)


def _grid_name(row: SizeRow) -> str:
    return f"{row.task}, {row.method}"


def _description(grids: Sequence[Sequence[SizeRow]]) -> str:
    parts = [
        f"{_grid_name(row)}, {row.weak_model} to {row.strong_model}: {percent(row.student_accuracy)} %, "
        f"PGR {ratio(row.pgr)}"
        for rows in grids
        for row in rows
        if not row.outside
    ]
    return "Accuracy of students, and PGR, over the student's size, a line for each supervisor. " + "; ".join(parts)
