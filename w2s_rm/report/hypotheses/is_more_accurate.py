"""One student, or its supervisor, is right more often than another: of another method, run, or on another task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.errors import OptionError, nearest
from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, shares
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import STUDENT, WEAK

_RUN_METHOD_TASK = (2, 3)


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
        wrong = {
            name: f"is {value!r}; give [run, method] or [run, method, task]"
            for name, value in (("student", self.student), ("other", self.other))
            if len(value) not in _RUN_METHOD_TASK
        }
        if not -1 <= self.by <= 1:
            wrong["by"] = f"is {self.by}; use a share from -1 to 1"
        if self.of not in (STUDENT, WEAK):
            wrong["of"] = f"is {self.of!r}; {nearest(self.of, (STUDENT, WEAK))}"
        if wrong:
            raise OptionError("is_more_accurate", wrong)

    def students(self) -> Sequence[Student]:
        """Return both students."""
        return [(run, method) for run, method, *_ in (self.student, self.other)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the students."""
        pair = (self.student, self.other)
        # Also of two runs: on other examples they are independent, and models of one seed are paired all the same.
        student, other = (results[run].accuracy(self.of, method, *task) for run, method, *task in pair)
        words = [" ".join(entry) for entry in pair]
        shown = shares(self.of, dict(zip(words, (student, other), strict=True)))
        # `by` is known: it moves the interval and makes it no wider.
        return Evidence((student.minus(other).less(self.by),), Panel("accuracy", (shown,)))
