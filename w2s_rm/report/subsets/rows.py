"""How the models of one method do on a group of test examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs


@dataclass(frozen=True)
class SubsetRow:
    """A group of test examples under one method. Accuracies are shares, `_low` and `_high` the ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        method (`str`): The method.
        subset (`str`): By what examples are grouped.
        group (`str`): Which group.
        from_value (`float`): Lowest value in the group of what examples are grouped by.
        to_value (`float`): Highest value.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        n_scored (`int`): Examples in the group; they have ground truth.
        weak_accuracy (`float` or `None`): Of the weak supervisor.
        weak_low (`float` or `None`): Lower end.
        weak_high (`float` or `None`): Upper end.
        student_accuracy (`float`): Of the student.
        student_low (`float`): Lower end.
        student_high (`float`): Upper end.
        ceiling_accuracy (`float` or `None`): Of the ceiling.
        ceiling_low (`float` or `None`): Lower end.
        ceiling_high (`float` or `None`): Upper end.
        gap (`float` or `None`): Ceiling minus weak accuracy.
        gap_low (`float` or `None`): Lower end.
        gap_high (`float` or `None`): Upper end.
        pgr (`float` or `None`): Performance gap recovered.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the interval of the gap is above zero.
    """

    recipe: str
    setting: str
    task: str
    method: str
    subset: str
    group: str
    from_value: float
    to_value: float
    seeds: tuple[int, ...]
    n_scored: int
    weak_accuracy: float | None
    weak_low: float | None
    weak_high: float | None
    student_accuracy: float
    student_low: float
    student_high: float
    ceiling_accuracy: float | None
    ceiling_low: float | None
    ceiling_high: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None


def subsets_by_run(rows: Sequence[SubsetRow]) -> list[list[SubsetRow]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence[SubsetRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(rows, lambda row: row.recipe, lambda row: (row.method, row.subset, row.group))
