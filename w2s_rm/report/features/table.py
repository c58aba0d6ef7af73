"""The rows about features: one for each method, layer and penalty of each run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.pgr import gap_recovered
from w2s_rm.report.features.rows import FeatureRow
from w2s_rm.report.rows import ReportRow
from w2s_rm.roles import CEILING, STUDENT
from w2s_rm.runs.plan import Run, read_counts, read_run

_Place = tuple[int, float]


def collect_features(run_dir: Path, rows: Sequence[ReportRow]) -> list[FeatureRow]:
    """Compute the rows about the features of one run: methods in the recipe's order, layers upwards, penalties too.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        rows (`Sequence[ReportRow]`): What [`~w2s_rm.report.table.collect`] returned for it.

    Returns:
        `list[FeatureRow]`: Empty for a run that chose from nothing.

    Raises:
        ArtifactError: The run is not finished, its files are broken, or its seeds chose from different places.
    """
    run = read_run(run_dir)
    return [feature_row for row in rows for feature_row in _of_method(run, row)]


def _of_method(run: Run, row: ReportRow) -> Iterator[FeatureRow]:
    students, ceilings = (_paths(run, of, row.method) for of in (STUDENT, CEILING))
    if not students or len(students[0].accuracies) < 2:
        return
    for path in students:
        if path.accuracies.keys() != students[0].accuracies.keys():
            raise ArtifactError(
                f"run {run.recipe!r}, method {row.method!r}: its seeds chose from different layers and penalties; "
                "run the recipe again"
            )
    for point in sorted(students[0].accuracies):
        accuracy = fmean(path.accuracies[point] for path in students)
        # A ceiling may have had other layers and penalties to choose from.
        alike = [path.accuracies[point] for path in ceilings if point in path.accuracies]
        weak, ceiling = row.weak_accuracy, row.ceiling_accuracy
        yield FeatureRow(
            recipe=run.recipe,
            setting=run.setting,
            task=run.task,
            method=row.method,
            seeds=run.seeds,
            layer=point[0],
            l2=point[1],
            student_accuracy=accuracy,
            like_ceiling_accuracy=fmean(alike) if alike else None,
            weak_accuracy=weak,
            ceiling_accuracy=ceiling,
            # The ceiling is the one that was chosen: its own line would have the students compared with another one at
            # each place.
            pgr=None if weak is None or ceiling is None else gap_recovered(weak, accuracy, ceiling),
            chosen=sum(path.chosen == point for path in students),
            ceiling_chosen=sum(path.chosen == point for path in ceilings),
        )


class _Path:
    """The accuracy of each model of one training, by layer and penalty, and which of them was chosen."""

    def __init__(self, counts: Mapping[str, Any]) -> None:
        self.chosen: _Place = (counts["layer"], counts["l2"])
        # From the manifest, which has the test accuracy of each and no scores: there are no intervals.
        self.accuracies: dict[_Place, float] = {
            (tried["layer"], tried["l2"]): tried["accuracy"]
            for tried in counts["path"]
            if tried["accuracy"] is not None
        }


def _paths(run: Run, of: str, method: str) -> list[_Path]:
    """One for each seed; none where the models were trained themselves."""
    counts = [read_counts(stage) for stage in run.find_all("evaluate", of, method)]
    return [_Path(count) for count in counts if "path" in count]
