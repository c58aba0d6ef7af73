"""What a report says about one pair of sizes in a grid of runs, measured or only predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CurveFacts:
    """What a curve is, and how well it predicts sizes that it was not fitted to.

    Errors are roots of mean squared errors of the student's accuracy, [`~w2s_rm.metrics.size_curves.LeftOut`].

    Args:
        constant (`float`): Its value at sizes of 1.
        weak_doubling (`float`): What twice the supervisor's size adds: to the logit of the accuracy, or to PGR.
        weak_doubling_low (`float` or `None`): Lower end of its 95 % interval.
        weak_doubling_high (`float` or `None`): Upper end.
        strong_doubling (`float`): What twice the student's size adds.
        strong_doubling_low (`float` or `None`): Lower end.
        strong_doubling_high (`float` or `None`): Upper end.
        inside_error (`float` or `None`): Of sizes left out between others; `None` where no curve is left without them.
        inside_constant_error (`float` or `None`): The same of a mean that knows no sizes.
        outside_error (`float` or `None`): Of the smallest and the largest size left out.
        outside_constant_error (`float` or `None`): The same of a mean that knows no sizes.
    """

    constant: float
    weak_doubling: float
    weak_doubling_low: float | None
    weak_doubling_high: float | None
    strong_doubling: float
    strong_doubling_low: float | None
    strong_doubling_high: float | None
    inside_error: float | None
    inside_constant_error: float | None
    outside_error: float | None
    outside_constant_error: float | None


@dataclass(frozen=True)
class SizeRow:
    """A pair of sizes. Accuracies are shares in [0, 1], `_low` and `_high` the ends of 95 % intervals.

    What was measured is `None` in a row of a size outside of the grid, which curves alone speak of.

    Args:
        setting (`str`): The setting.
        task (`str`): The task.
        method (`str`): The method.
        seeds (`tuple[int, ...]`): Seeds of all runs.
        recipe (`str` or `None`): Name of the run.
        weak_model (`str`): Name of the supervisor.
        strong_model (`str` or `None`): Name of the student.
        weak_size (`float`): Layers times width squared of the supervisor.
        strong_size (`float`): The same of the student.
        outside (`bool`): Whether the student's size lies outside of the grid.
        weak_accuracy (`float` or `None`): Of the supervisor.
        student_accuracy (`float` or `None`): Of the student.
        student_low (`float` or `None`): Lower end.
        student_high (`float` or `None`): Upper end.
        ceiling_accuracy (`float` or `None`): Of the ceiling.
        pgr (`float` or `None`): Performance gap recovered; `None` also where there is no gap.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the gap is told from zero.
        fitted_accuracy (`float`): What the curve says of the student's accuracy.
        fitted_accuracy_low (`float`): Lower end, given that the form is right.
        fitted_accuracy_high (`float`): Upper end.
        fitted_pgr (`float` or `None`): What the line says of PGR; `None` where too few pairs have a gap.
        fitted_pgr_low (`float` or `None`): Lower end, given that the form is right.
        fitted_pgr_high (`float` or `None`): Upper end.
        accuracy_curve ([`CurveFacts`]): The curve of accuracies, the same for all pairs of a grid.
        pgr_curve ([`CurveFacts`] or `None`): The line of PGR.
    """

    setting: str
    task: str
    method: str
    seeds: tuple[int, ...]
    recipe: str | None
    weak_model: str
    strong_model: str | None
    weak_size: float
    strong_size: float
    outside: bool
    weak_accuracy: float | None
    student_accuracy: float | None
    student_low: float | None
    student_high: float | None
    ceiling_accuracy: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None
    fitted_accuracy: float
    fitted_accuracy_low: float
    fitted_accuracy_high: float
    fitted_pgr: float | None
    fitted_pgr_low: float | None
    fitted_pgr_high: float | None
    accuracy_curve: CurveFacts
    pgr_curve: CurveFacts | None


def by_grid(rows: Sequence[SizeRow]) -> list[list[SizeRow]]:
    """Group rows by grid and method, in their order; grids on one task may differ in their seeds.

    Args:
        rows (`Sequence[SizeRow]`): Rows of any number of grids.
    """
    keys = dict.fromkeys((row.setting, row.task, row.method, row.seeds) for row in rows)
    return [[row for row in rows if (row.setting, row.task, row.method, row.seeds) == key] for key in keys]
