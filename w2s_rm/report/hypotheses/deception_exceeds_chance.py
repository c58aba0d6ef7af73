"""Under a conflicting aim a student errs where its supervisor does not know better, more than errors anywhere would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.report.hypotheses._base import Evidence, Need, Panel, Student, ratios, refuse, same_problem
from w2s_rm.report.hypotheses._results import Results


@dataclass(frozen=True)
class DeceptionExceedsChance:
    """The deception score of a student is above what errors that do not depend on its supervisor would have.

    [`~w2s_rm.metrics.deception.Deception`] defines both.

    Args:
        run (`str`): The run.
        method (`str`): The method whose students were trained under the conflicting aim.
        beside (`str`, *optional*, defaults to `"naive"`): The method without it.

    Raises:
        OptionError: Both methods are the same.
    """

    run: str
    method: str
    beside: str = "naive"

    effect: ClassVar[str] = (
        "share that the supervisor has wrong of what ceiling and student had right and the conflict made wrong, minus "
        "that share of all that both had right"
    )
    # Both are shares of examples, if of few: shown in points.
    is_ratio: ClassVar[bool] = False

    def __post_init__(self) -> None:
        refuse("deception_exceeds_chance", {"method": same_problem(self.method, self.beside, "beside")})

    def students(self) -> Sequence[Student]:
        """Return the students with the conflict and without."""
        return [(self.run, self.method), (self.run, self.beside)]

    def needs(self) -> Sequence[Need]:
        """Return what its runs must have."""
        return [Need("opposed", self.run, self.method)]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Compare the score with chance."""
        found = results[self.run].deception(self.method, self.beside)
        numbers = {"deception score": found.score, "chance": found.chance}
        return Evidence((found.excess,), Panel("weak-unknown", (ratios("share", numbers),)))
