"""One student, or its supervisor, is right more often than another: of another method, run, or on another task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.errors import nearest
from w2s_rm.report.hypotheses._base import (
    Evidence,
    Need,
    Panel,
    Student,
    entry_problem,
    needed_tasks,
    refuse,
    shares,
)
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import STUDENT, WEAK


@dataclass(frozen=True)
class IsMoreAccurate:
    """The accuracy of one student is above that of another.

    Args:
        student (`list[str]`): Run and method, and perhaps the name of a further task (`also_evaluate`) on which it is
            scored; by default its own.
        other (`list[str]`): The same of the other student.
        by (`float`, *optional*, defaults to `0.0`): By more than so much, in [-1, 1]; below zero it is less accurate by
            no more than that.
        of (`str`, *optional*, defaults to `"student"`): `weak` compares the supervisors of the two methods.

    Raises:
        OptionError: An entry that is no run, method and task, another role, or a number out of range.
    """

    student: list[str] = field(hash=False)
    other: list[str] = field(hash=False)
    by: float = 0.0
    of: str = STUDENT

    effect: ClassVar[str] = (
        "accuracy of the student, of: weak of its supervisor, minus that of the other, and minus by what it is to be "
        "more accurate"
    )
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        in_range = -1 <= self.by <= 1
        same = "is student, too: it would be compared with itself" if self.student == self.other else None
        wrong = {
            "student": entry_problem(self.student),
            "other": entry_problem(self.other) or same,
            "by": None if in_range else f"is {self.by}; use a share from -1 to 1",
            "of": None if self.of in (STUDENT, WEAK) else f"is {self.of!r}; {nearest(self.of, (STUDENT, WEAK))}",
        }
        refuse("is_more_accurate", wrong)

    def students(self) -> Sequence[Student]:
        """Return both students."""
        return [(run, method) for run, method, *_ in (self.student, self.other)]

    def needs(self) -> Sequence[Need]:
        """Return the further tasks on which they are scored."""
        return needed_tasks([self.student, self.other])

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the students."""
        pair = (self.student, self.other)
        # Also of two runs: on other examples they are independent, and models of one seed are paired all the same.
        student, other = (results[run].accuracy(self.of, method, *task) for run, method, *task in pair)
        words = [" ".join(entry) for entry in pair]
        shown = shares(self.of, dict(zip(words, (student, other), strict=True)))
        # `by` is known: it moves the interval and makes it no wider.
        return Evidence((student.minus(other).less(self.by),), Panel("accuracy", (shown,)))
