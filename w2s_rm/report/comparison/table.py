"""The rows of the comparison: one for each method of each run beside the one that its recipe compares with.

Shape suffixes: M methods, C comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import Estimate, Means
from w2s_rm.metrics.simultaneous import correlations, holm, joint_error
from w2s_rm.report.comparison.rows import ComparisonRow
from w2s_rm.report.fields import credits_of
from w2s_rm.report.table import reading_once
from w2s_rm.roles import STUDENT
from w2s_rm.runs.plan import Run, read_run


def compare(run_dirs: Sequence[Path]) -> list[ComparisonRow]:
    """Compare the students of all methods with those of the baseline of their run.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs.

    Returns:
        `list[ComparisonRow]`: Of settings, runs and methods in the order given; empty where no run has two methods.

    Raises:
        ArtifactError: A run is not finished or its files are broken.
        DataError: Students of one run were scored on different test examples.
    """
    compared = [_compared(run) for run in map(read_run, run_dirs)]
    settings = dict.fromkeys(entry.run.setting for entry in compared)
    return [
        row for setting in settings for row in _together([entry for entry in compared if entry.run.setting == setting])
    ]


@dataclass(frozen=True)
class _Compared:
    """The differences of one run by method, and how those that are not known without error go together."""

    run: Run
    n_test: int
    estimates: dict[str, Estimate]
    correlations_CC: Floats


def students(run: Run, methods: Sequence[str]) -> Means | None:
    """Return the mean credits of the students of several methods; `None` without ground truth.

    Args:
        run ([`~w2s_rm.runs.plan.Run`]): A finished run.
        methods (`Sequence[str]`): Methods of it.

    Raises:
        DataError: The students were scored on different test examples.
    """
    read = reading_once()
    stages = {method: run.find_all("evaluate", STUDENT, method) for method in methods}
    # All methods at once, so that the covariances of their errors are known: without them no intervals hold together.
    credits = credits_of({method: [read(stage) for stage in of] for method, of in stages.items()})
    return credits.means(methods) if credits else None


def _compared(run: Run) -> _Compared:
    others = [method for method in run.methods if method != run.baseline]
    means = students(run, (run.baseline, *others)) if others else None
    if means is None:
        return _Compared(run, 0, {}, np.zeros((0, 0)))
    # A line for each method: minus the baseline, which is first, plus the method itself.
    weights_CM = np.hstack([-np.ones((len(others), 1)), np.eye(len(others))])
    estimates = {method: means.combined(weights_M) for method, weights_M in zip(others, weights_CM, strict=True)}
    # What is the same in every example and seed is known, and leaves the others as they are.
    uncertain_C = [estimate.variance > 0 for estimate in estimates.values()]
    return _Compared(run, means.n_examples, estimates, correlations(means, weights_CM[uncertain_C]))


def _together(runs: Sequence[_Compared]) -> list[ComparisonRow]:
    """The rows of one setting."""
    # Runs count as independent; the differences of one run have the baseline in common. Where runs share examples or
    # models, intervals come out rather too wide: they hold together at least as often as independent ones (the Gaussian
    # correlation inequality, Royen 2014).
    error = joint_error([entry.correlations_CC for entry in runs])
    p_values = [estimate.p_value() for entry in runs for estimate in entry.estimates.values()]
    # Over all comparisons of the setting at once; handed out below in the order in which they were collected here.
    adjusted = iter(zip(p_values, holm(p_values), strict=True))
    rows = []
    for entry in runs:
        for method, estimate in entry.estimates.items():
            together, alone, (p, p_holm) = estimate.interval(error), estimate.interval(), next(adjusted)
            rows.append(
                ComparisonRow(
                    recipe=entry.run.recipe,
                    setting=entry.run.setting,
                    task=entry.run.task,
                    method=method,
                    difference_to=entry.run.baseline,
                    n_test=entry.n_test,
                    n_seeds=estimate.n_seeds,
                    difference=estimate.value,
                    low=together.low,
                    high=together.high,
                    alone_low=alone.low,
                    alone_high=alone.high,
                    p=p,
                    p_holm=p_holm,
                )
            )
    return rows
