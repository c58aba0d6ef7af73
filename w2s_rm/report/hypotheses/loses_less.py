"""What one method loses where something is done to its supervisor is less than what another method loses there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.metrics.quantities import Quantity
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

_PAIRS = ("student", "other")


@dataclass(frozen=True)
class LosesLess:
    """A method protects its students: they lose less than those of another method do.

    A difference of differences, for a method that is more accurate where nothing is done as well, such as one whose
    labels have fewer errors, would else be said to protect.

    Args:
        student (`list[list[str]]`): Two students of the method, the one without and the one with what is done: each run
            and method, and perhaps the name of a further task (`also_evaluate`) on which it is scored.
        other (`list[list[str]]`): The same two of the other method.

    Raises:
        OptionError: Not two of them, or an entry that is no run, method and task.
    """

    student: list[list[str]] = field(hash=False)
    other: list[list[str]] = field(hash=False)

    effect: ClassVar[str] = "accuracy that the other method loses minus what the method loses"
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        wrong = {
            name: f"is {pair!r}; give two of [run, method] or [run, method, task], first the one without what is done"
            for name, pair in zip(_PAIRS, (self.student, self.other), strict=True)
            if len(pair) != 2 or any(map(entry_problem, pair)) or pair[0] == pair[1]
        }
        if not wrong and self.student == self.other:
            wrong["other"] = "is student, too: it would be compared with itself"
        refuse("loses_less", wrong)

    def students(self) -> Sequence[Student]:
        """Return all four students."""
        return [(run, method) for pair in (self.student, self.other) for run, method, *_ in pair]

    def needs(self) -> Sequence[Need]:
        """Return the further tasks on which they are scored."""
        return needed_tasks([*self.student, *self.other])

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare what is lost."""
        accuracies = {
            name: {" ".join(entry): _accuracy(results, entry) for entry in pair}
            for name, pair in zip(_PAIRS, (self.student, self.other), strict=True)
        }
        mine, others = (without.minus(with_it) for without, with_it in (of.values() for of in accuracies.values()))
        panel = Panel("accuracy", tuple(shares(name, of) for name, of in accuracies.items()))
        return Evidence((others.minus(mine),), panel)


def _accuracy(results: Mapping[str, Results], entry: Sequence[str]) -> Quantity:
    run, method, *task = entry
    return results[run].accuracy(STUDENT, method, *task)
