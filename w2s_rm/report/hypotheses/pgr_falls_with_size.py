"""The larger a student is beside its supervisor, the less of the gap comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from w2s_rm.errors import ArtifactError, DataError
from w2s_rm.metrics.size_curves import STRONG_SIZE, SizedPair, pgr_curve
from w2s_rm.report.hypotheses._base import Evidence, Panel, Student, list_problem, ratios, refuse
from w2s_rm.report.hypotheses._results import Results
from w2s_rm.roles import TRAINED


@dataclass(frozen=True)
class PgrFallsWithSize:
    """Of students of one supervisor the larger ones recover less, by a straight line in the logarithms of both sizes.

    Args:
        runs (`list[str]`): Runs whose models' sizes are known, as those of a grid.
        method (`str`, *optional*, defaults to `"naive"`): The method of the students.

    Raises:
        OptionError: Fewer than three runs, or one of them twice.
    """

    runs: list[str] = field(hash=False)
    method: str = "naive"

    effect: ClassVar[str] = "PGR that is lost when the student's size is doubled and its supervisor stays"
    is_ratio: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # A line over two sizes has three numbers.
        refuse("pgr_falls_with_size", {"runs": list_problem(self.runs, "runs", least=3)})

    def students(self) -> Sequence[Student]:
        """Return the student of each run."""
        return [(run, self.method) for run in self.runs]

    def test(self, results: Mapping[str, Results]) -> Evidence:
        """Fit the line."""
        pairs = {run: _pair(run, results[run], self.method) for run in self.runs}
        curve = pgr_curve(list(pairs.values()))
        if curve is None:
            raise DataError("pgr_falls_with_size: these runs do not determine a line; name more sizes of both models")
        by_supervisor: dict[float, list[str]] = {}
        for run, pair in sorted(pairs.items(), key=lambda item: (item[1].weak_size, item[1].strong_size)):
            # A model that supervises itself has hardly a gap: it counts for as little in the fit, and would be noise
            # here.
            if pair.strong_size > pair.weak_size:
                by_supervisor.setdefault(pair.weak_size, []).append(run)
        series = tuple(
            ratios(
                f"supervisor {size:,.0f}",
                {f"{pairs[run].strong_size:,.0f}": results[run].pgr(self.method) for run in of_one},
            )
            for size, of_one in by_supervisor.items()
        )
        return Evidence((curve.coefficient(STRONG_SIZE).times(-1),), Panel("PGR", series))


def _pair(run: str, results: Results, method: str) -> SizedPair:
    sizes = (results.run.weak_size, results.run.strong_size)
    if not all(sizes):
        raise ArtifactError(f"run {run!r}: the sizes of its models are not known; name runs of models from folders")
    # `or` is for the type checker: both are known.
    weak, strong = (float(size or 0) for size in sizes)
    return SizedPair(weak, strong, *(results.accuracy(of, method) for of in TRAINED))
