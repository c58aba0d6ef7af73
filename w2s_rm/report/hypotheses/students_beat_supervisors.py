"""Students are right more often than their supervisors, in each of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, list_problem, refuse, shares
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import TRAINED


@dataclass(frozen=True)
class StudentsBeatSupervisors:
    """In every run the accuracy of the student is above that of its supervisor.

    Args:
        runs (`list[str]`): The runs.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: No runs, or one of them twice.
    """

    # A list has no hash, and a frozen dataclass would ask it for one.
    runs: list[str] = field(hash=False)
    method: str = "naive"

    effect: ClassVar[str] = "accuracy of the student minus that of its supervisor, in the run where it is least"
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        refuse("students_beat_supervisors", {"runs": list_problem(self.runs, "runs")})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in self.runs]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare each student with its supervisor."""
        accuracies = {of: {run: results[run].accuracy(of, self.method) for run in self.runs} for of in TRAINED}
        weak, student, _ = accuracies.values()
        # One number for each run and no mean of them: the finding is about every run.
        gains = tuple(student[run].minus(weak[run]) for run in self.runs)
        return Evidence(gains, Panel("accuracy", tuple(shares(of, by_run) for of, by_run in accuracies.items())))
