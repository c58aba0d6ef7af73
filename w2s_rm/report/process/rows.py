"""How the models of one method judge solutions in steps, by one measure."""

from __future__ import annotations

from dataclasses import dataclass

FOUND = "first mistake found"
"""The measure that is of solutions; all others are of problems."""


@dataclass(frozen=True)
class ProcessRow:
    """A method and a measure. Values are shares, `_low` and `_high` the ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        method (`str`): The method.
        measure (`str`): `first mistake found`, or `right solution chosen` with what the score of a solution is.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        n_scored (`int`): Solutions, or problems with right and wrong ones.
        chance (`float` or `None`): What choosing by chance gets; `None` for mistakes.
        weak_accuracy (`float` or `None`): Of the weak supervisor.
        weak_low (`float` or `None`): Lower end.
        weak_high (`float` or `None`): Upper end.
        student_accuracy (`float`): Of the student.
        student_low (`float`): Lower end.
        student_high (`float`): Upper end.
        ceiling_accuracy (`float` or `None`): Of the ceiling.
        ceiling_low (`float` or `None`): Lower end.
        ceiling_high (`float` or `None`): Upper end.
        gap (`float` or `None`): Ceiling minus weak.
        gap_low (`float` or `None`): Lower end.
        gap_high (`float` or `None`): Upper end.
        pgr (`float` or `None`): Performance gap recovered in this measure.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the interval of the gap is above zero.
        difference (`float` or `None`): The student less that of the method which others are compared with.
        difference_low (`float` or `None`): Lower end.
        difference_high (`float` or `None`): Upper end.
        difference_to (`str` or `None`): That method; `None` for itself.
    """

    recipe: str
    setting: str
    task: str
    method: str
    measure: str
    seeds: tuple[int, ...]
    n_scored: int
    chance: float | None
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
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    difference_to: str | None
