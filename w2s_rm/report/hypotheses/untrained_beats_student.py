"""The strong model is right more often before it is trained on weak labels than after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Need, Panel, Student, shares
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import STUDENT, WEAK, ZERO_SHOT

_WORDS = {ZERO_SHOT: "untrained", WEAK: "supervisor", STUDENT: "student"}


@dataclass(frozen=True)
class UntrainedBeatsStudent:
    """The zero-shot accuracy is above that of the student.

    Args:
        run (`str`): The run; its head scores candidates before any training (`lm`).
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.
    """

    run: str
    method: str = "naive"

    effect: ClassVar[str] = "accuracy of the untrained student minus that of the trained one"
    is_ratio: ClassVar[bool] = False

    def students(self) -> Sequence[Student]:
        """Return the student."""
        return [(self.run, self.method)]

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        return [Need("untrained", self.run, self.method)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the student with what it was."""
        accuracies = {word: results[self.run].accuracy(of, self.method) for of, word in _WORDS.items()}
        # In the order of `_WORDS`; the supervisor is for the panel alone.
        untrained, _, student = accuracies.values()
        return Evidence((untrained.minus(student),), Panel("accuracy", (shares(self.run, accuracies),)))
