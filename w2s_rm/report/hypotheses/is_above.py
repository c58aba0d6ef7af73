"""A student is right more often than a given share, such as chance; or less often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

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
from w2s_rm.roles import STUDENT


@dataclass(frozen=True)
class IsAbove:
    """The accuracy of a student is above a share.

    Args:
        student (`list[str]`): Run and method, and perhaps the name of a further task (`also_evaluate`) on which it is
            scored; by default its own.
        share (`float`): That share, in [0, 1]: chance, where it is to know something.
        below (`bool`, *optional*, defaults to `False`): It is to be below that share instead.

    Raises:
        OptionError: An entry that is no run, method and task, or a share out of range.
    """

    student: list[str] = field(hash=False)
    share: float
    below: bool = False

    effect: ClassVar[str] = "accuracy of the student minus that share; below it, that share minus the accuracy"
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        in_range = 0 <= self.share <= 1
        wrong = {
            "student": entry_problem(self.student),
            "share": None if in_range else f"is {self.share}; use a share from 0 to 1",
        }
        refuse("is_above", wrong)

    def students(self) -> Sequence[Student]:
        """Return the student."""
        run, method, *_ = self.student
        return [(run, method)]

    def needs(self) -> Sequence[Need]:
        """Return the further task, if it is scored on one."""
        return needed_tasks([self.student])

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare its accuracy with the share."""
        run, method, *task = self.student
        accuracy = results[run].accuracy(STUDENT, method, *task)
        # The share is known: it moves the interval and makes it no wider.
        above = accuracy.less(self.share)
        shown = shares(STUDENT, {" ".join(self.student): accuracy})
        return Evidence((above.times(-1.0) if self.below else above,), Panel("accuracy", (shown,)))
