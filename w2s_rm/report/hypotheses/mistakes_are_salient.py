"""What a student makes of the examples before any training tells where its supervisor is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.errors import nearest
from w2s_rm.report.hypotheses._base import Evidence, Need, Panel, Student, list_problem, mean, refuse, shares
from w2s_rm.report.hypotheses._results import Results

_CHANCE = 0.5
_BESIDE = ("chance", "doubt")


@dataclass(frozen=True)
class MistakesAreSalient:
    """A linear model on the student's hidden states tells its supervisor's mistakes, in the mean of several runs.

    Args:
        runs (`list[str]`): Runs that look for mistakes (`saliency`).
        beside (`str`, *optional*, defaults to `"chance"`): What it is better than: `chance`, or `doubt`, the
            supervisor's own lack of confidence.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: No runs, one of them twice, or nothing of that name to be better than.
    """

    runs: list[str] = field(hash=False)
    beside: str = "chance"
    method: str = "naive"

    effect: ClassVar[str] = "area under the ROC of the student's hidden states, minus that of chance or of doubt"
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        known = None if self.beside in _BESIDE else f"is {self.beside!r}; {nearest(self.beside, _BESIDE)}"
        refuse("mistakes_are_salient", {"runs": list_problem(self.runs, "runs"), "beside": known})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in self.runs]

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        return [Need("saliency", run, self.method) for run in self.runs]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the areas."""
        states = {run: results[run].saliency(self.method) for run in self.runs}
        doubts = {run: results[run].doubt(self.method) for run in self.runs}
        panel = Panel("area under the ROC", (shares("hidden states", states), shares("doubt", doubts)))
        whole = mean(list(states.values()))
        other = mean(list(doubts.values()))
        return Evidence((whole.less(_CHANCE) if self.beside == "chance" else whole.minus(other),), panel)
