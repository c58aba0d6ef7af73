"""A method recovers more of the gap than another, each beside the ceiling that was prepared as its students were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, ratios, refuse, same_problem
from w2s_rm.report.hypotheses._results import Results


@dataclass(frozen=True)
class MethodLiftsPgr:
    """The PGR of a method is above that of another in the same run.

    Args:
        run (`str`): The run.
        method (`str`): The method.
        beside (`str`, *optional*, defaults to `"naive"`): The method that it is compared with.

    Raises:
        OptionError: Both methods are the same.
    """

    run: str
    method: str
    beside: str = "naive"

    effect: ClassVar[str] = "PGR with the method minus that without"
    is_ratio: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse("method_lifts_pgr", {"method": same_problem(self.method, self.beside, "beside")})

    def students(self) -> Sequence[Student]:
        """Return both students."""
        return [(self.run, method) for method in (self.beside, self.method)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the PGRs."""
        recovered = {method: results[self.run].pgr(method) for method in (self.beside, self.method)}
        # Each beside the ceiling that the run has for its method: one of its own, where the method prepares its
        # students.
        difference = recovered[self.method].minus(recovered[self.beside])
        return Evidence((difference,), Panel("PGR", (ratios(self.run, recovered),)))
