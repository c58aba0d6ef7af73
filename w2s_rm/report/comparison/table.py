"""The rows of the comparison: one for each method of each run that has the baseline too.

Shape suffixes: R resamples, C comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_rm.metrics.bootstrap import bootstrap_means, percentile_interval
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.simultaneous import simultaneous_intervals
from w2s_rm.report.comparison.rows import BASELINE, ComparisonRow
from w2s_rm.report.curves.read import at_the_end, curve_of
from w2s_rm.report.fields import credits_of
from w2s_rm.roles import STUDENT
from w2s_rm.runs.plan import Run, read_run


def compare(run_dirs: Sequence[Path]) -> list[ComparisonRow]:
    """Compare the students of all methods with those of the baseline.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs.

    Returns:
        `list[ComparisonRow]`: Of settings, runs and methods in the order given; empty where no run has both the
        baseline and another method.

    Raises:
        ArtifactError: A run is not finished or its files are broken.
        DataError: Students of one run were scored on different test examples.
    """
    compared = [_resampled(run, number) for number, run in enumerate(map(read_run, run_dirs))]
    settings = dict.fromkeys(found.run.setting for found in compared)
    return [row for setting in settings for row in _together([one for one in compared if one.run.setting == setting])]


@dataclass(frozen=True)
class _Compared:
    """The differences of one run: `values` (a float for each of its `methods`) and `samples_RC`."""

    run: Run
    methods: tuple[str, ...]
    n_test: int
    values: list[float]
    samples_RC: Floats


def _resampled(run: Run, number: int) -> _Compared:
    methods = tuple(method for method in run.methods if method != BASELINE)
    nothing = _Compared(run, (), 0, [], np.zeros((0, 0)))
    if BASELINE not in run.methods or not methods:
        return nothing
    evaluations = {method: run.find_all("evaluate", STUDENT, method) for method in (BASELINE, *methods)}
    students = {
        method: [at_the_end(stage, curve_of(stage)) for stage in stages] for method, stages in evaluations.items()
    }
    credits = credits_of(students)
    if not credits:
        return nothing
    means_RC = bootstrap_means([credits[name] for name in (BASELINE, *methods)])
    # Runs are resampled by the same numbers, and are independent: in another order they are.
    means_RC = np.random.default_rng(number).permutation(means_RC)
    values = [float(credits[method].mean() - credits[BASELINE].mean()) for method in methods]
    return _Compared(run, methods, credits[BASELINE].shape[1], values, means_RC[:, 1:] - means_RC[:, :1])


def _together(runs: Sequence[_Compared]) -> list[ComparisonRow]:
    """The rows of one setting."""
    compared = [found for found in runs if found.methods]
    if not compared:
        return []
    samples_RC = np.concatenate([found.samples_RC for found in compared], axis=1)
    intervals = iter(simultaneous_intervals([value for found in compared for value in found.values], samples_RC))
    rows = []
    for found in compared:
        for place, method in enumerate(found.methods):
            interval = next(intervals)
            alone_low, alone_high = percentile_interval(found.samples_RC[:, place])
            rows.append(
                ComparisonRow(
                    recipe=found.run.recipe,
                    setting=found.run.setting,
                    task=found.run.task,
                    method=method,
                    n_test=found.n_test,
                    n_seeds=len(found.run.seeds),
                    difference=interval.value,
                    low=interval.low,
                    high=interval.high,
                    alone_low=alone_low,
                    alone_high=alone_high,
                )
            )
    return rows
