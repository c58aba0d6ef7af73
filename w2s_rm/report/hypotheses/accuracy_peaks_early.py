"""Students are right more often before the end of their training on weak labels than at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.quantities import Quantity
from w2s_rm.metrics.stopping import earliest_best
from w2s_rm.report.curves.read import Curve
from w2s_rm.report.hypotheses._base import Evidence, Need, Panel, Student, list_problem, mean, refuse, shares
from w2s_rm.report.hypotheses._results import Results, accuracy


@dataclass(frozen=True)
class AccuracyPeaksEarly:
    """The accuracy at the peak is above that at the end, in the mean of several runs.

    The peak of each seed is where the truth of the validation split is met best, and it is measured on the test split:
    the best of several measurements would be too high, and always above the last of them.

    Args:
        runs (`list[str]`): The runs; their trainings are evaluated on their way, and have a validation split.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: No runs, or one of them twice.
    """

    runs: list[str] = field(hash=False)
    method: str = "naive"

    effect: ClassVar[str] = "accuracy at the peak, which the validation split chooses, minus accuracy at the end"
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        refuse("accuracy_peaks_early", {"runs": list_problem(self.runs, "runs")})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in self.runs]

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        return [Need("evaluations", run, self.method) for run in self.runs]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare peak and end."""
        curves = {run: results[run].curves(self.method) for run in self.runs}
        lost = mean([_lost(run, of_run) for run, of_run in curves.items()])
        series = tuple(shares(run, _accuracies(of_run)) for run, of_run in curves.items())
        return Evidence((lost,), Panel("accuracy of students", series))


def _lost(run: str, curves: Sequence[Curve]) -> Quantity:
    peaks, ends = [], []
    for curve in curves:
        truth = [value for value in curve.truth if value is not None]
        # Without a validation split `truth` is empty.
        if len(truth) < len(curve.test):
            raise ArtifactError(f"run {run!r}: no truth of a validation split tells the peak; set task.n_validation")
        peaks.append(curve.test[earliest_best(truth)].predictions)
        ends.append(curve.end)
    return accuracy(peaks).minus(accuracy(ends))


def _accuracies(curves: Sequence[Curve]) -> dict[float, Quantity]:
    """By share of the training."""
    # By place and not by step: seeds have as many evaluations, and may have other numbers of steps.
    return {
        float(np.mean([curve.steps[place] / curve.steps[-1] for curve in curves])): accuracy(
            [curve.test[place].predictions for curve in curves]
        )
        for place in range(len(curves[0].test))
    }
