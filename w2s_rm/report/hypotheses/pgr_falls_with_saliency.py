"""The better a student can tell its supervisor's mistakes, the less of the gap comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from w2s_rm.metrics.quantities import Quantity
from w2s_rm.report.hypotheses._base import Evidence, Need, Panel, Student, list_problem, ratios, refuse
from w2s_rm.report.hypotheses._results import Results


@dataclass(frozen=True)
class PgrFallsWithSaliency:
    """Over runs PGR falls with how well the student's hidden states tell the supervisor's mistakes, by a straight line.

    Whatever else differs between the runs is in the line: it says how both go together, and not why.

    Args:
        runs (`list[str]`): Runs that look for mistakes (`saliency`), with a gap that is told from zero.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: Fewer than three runs, or one of them twice.
    """

    runs: list[str] = field(hash=False)
    method: str = "naive"

    effect: ClassVar[str] = "PGR that is lost from one run to another with an area under the ROC higher by 0.1"
    is_ratio: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # A line through fewer says nothing.
        refuse("pgr_falls_with_saliency", {"runs": list_problem(self.runs, "runs", least=3)})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in self.runs]

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        return [Need("saliency", run, self.method) for run in self.runs]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Fit the line."""
        areas = [results[run].saliency(self.method) for run in self.runs]
        recovered = [results[run].pgr(self.method) for run in self.runs]
        order = sorted(range(len(areas)), key=lambda place: areas[place].value)
        points = {f"{areas[place].value:.2f} ({self.runs[place]})": recovered[place] for place in order}
        return Evidence((slope(areas, recovered).times(-0.1),), Panel("PGR", (ratios("students", points),)))


def slope(across: Sequence[Quantity], up: Sequence[Quantity]) -> Quantity:
    """Return the slope of the straight line of least squares, with errors of both, to first order.

    Args:
        across (`Sequence[Quantity]`): Places on the horizontal axis.
        up (`Sequence[Quantity]`): Values there; all from the same seeds.
    """
    x, y = (np.array([number.value for number in numbers]) for numbers in (across, up))
    x, y = x - x.mean(), y - y.mean()
    value = float(x @ y / (x @ x))
    # Nothing, from the same seeds, to begin the sum with.
    total = up[0].times(0.0)
    # By how much each y and each x moves the slope, the derivatives of (x · y) / (x · x) with both centred.
    for number, weight in zip((*up, *across), (*(x / (x @ x)), *((y - 2 * value * x) / (x @ x))), strict=True):
        total = total.plus(number.times(float(weight)))
    # The sum has the errors of the slope and no value of its own.
    return dataclasses.replace(total, value=value)
