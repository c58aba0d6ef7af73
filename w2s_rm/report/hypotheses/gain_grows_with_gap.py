"""A method helps where the gap between supervisor and student is large, and more than where it is small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, refuse, same_problem, shares
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import STUDENT


@dataclass(frozen=True)
class GainGrowsWithGap:
    """What a method gains is above zero at a large gap, and above what it gains at a small one.

    That it gains nothing at the small one is not claimed: no test shows that something is not there.

    Args:
        large (`str`): The run with the large gap.
        small (`str`): The run with the small gap.
        method (`str`): The method.
        beside (`str`, *optional*, defaults to `"naive"`): The method that it is compared with.

    Raises:
        OptionError: Both runs, or both methods, are the same.
    """

    large: str
    small: str
    method: str
    beside: str = "naive"

    effect: ClassVar[str] = (
        "accuracy gained at the large gap, and that minus what is gained at the small one: the lesser"
    )
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        problems = {
            "large": same_problem(self.large, self.small, "small"),
            "method": same_problem(self.method, self.beside, "beside"),
        }
        refuse("gain_grows_with_gap", problems)

    def students(self) -> Sequence[Student]:
        """Return both methods' students in both runs."""
        return [(run, method) for run in (self.large, self.small) for method in (self.beside, self.method)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare what is gained."""
        by_method = {
            method: {run: results[run].accuracy(STUDENT, method) for run in (self.small, self.large)}
            for method in (self.beside, self.method)
        }
        without, with_method = by_method.values()
        small, large = (with_method[run].minus(without[run]) for run in (self.small, self.large))
        panel = Panel("accuracy of students", tuple(shares(method, of) for method, of in by_method.items()))
        # Both must be above zero: a gain that grows from a loss to nothing is no help.
        return Evidence((large, large.minus(small)), panel)
