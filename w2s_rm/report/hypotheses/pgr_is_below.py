"""Less of the gap comes back in one run than in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, ratios, refuse, same_problem
from w2s_rm.report.hypotheses._results import Results


@dataclass(frozen=True)
class PgrIsBelow:
    """The PGR of one run is below that of another.

    Args:
        run (`str`): The run with the lower PGR.
        other (`str`): The run with the higher one.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: Both runs are the same.
    """

    run: str
    other: str
    method: str = "naive"

    effect: ClassVar[str] = "PGR of the second run minus that of the first"
    is_ratio: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse("pgr_is_below", {"run": same_problem(self.run, self.other, "other")})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in (self.run, self.other)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the PGRs."""
        recovered = {run: results[run].pgr(self.method) for run in (self.run, self.other)}
        # Sure only where both gaps are told from zero; else its interval has no ends.
        difference = recovered[self.other].minus(recovered[self.run])
        return Evidence((difference,), Panel("PGR", (ratios(self.method, recovered),)))
