"""At an equal accuracy of the supervisor, errors in a pattern cost a student more than errors by chance, on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, list_problem, mean, refuse, shares
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import STUDENT, WEAK


@dataclass(frozen=True)
class ErrorsMatter:
    """Students of a supervisor whose errors are independent are right more often than those of others, on average.

    It is about the mean of the patterns: one of them by itself may cost as little as chance, or less.

    Args:
        run (`str`): The run; the supervisors of these methods are equally often right.
        independent (`str`): The method whose supervisor errs by chance.
        patterned (`list[str]`): The methods whose supervisors err in a pattern; their mean counts.

    Raises:
        OptionError: No methods, one of them twice, or that of `independent` among them.
    """

    run: str
    independent: str
    patterned: list[str] = field(hash=False)

    effect: ClassVar[str] = (
        "accuracy of students of errors by chance minus the mean accuracy of those of patterned errors"
    )
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        problem = list_problem(self.patterned, "methods whose errors have a pattern")
        if self.independent in self.patterned:
            problem = f"names {self.independent!r}, as independent does: it would be compared with itself"
        refuse("errors_matter", {"patterned": problem})

    def students(self) -> Sequence[Student]:
        """Return the students of all supervisors."""
        return [(self.run, method) for method in (self.independent, *self.patterned)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the students."""
        accuracies = {
            of: {method: results[self.run].accuracy(of, method) for _, method in self.students()}
            for of in (WEAK, STUDENT)
        }
        # That supervisors are equally right is up to the recipe; the panel shows them, so that a reader sees it.
        students = accuracies[STUDENT]
        difference = students[self.independent].minus(mean([students[method] for method in self.patterned]))
        return Evidence((difference,), Panel("accuracy", tuple(shares(of, by) for of, by in accuracies.items())))
