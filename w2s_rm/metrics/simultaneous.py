"""Intervals for many differences at once: all of them hold together with the confidence that one alone would have.

Shape suffixes: R resamples, C comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.bootstrap import CONFIDENCE, Interval
from w2s_rm.metrics.choices import Floats


def simultaneous_intervals(
    values: Sequence[float], samples_RC: Floats, *, confidence: float = CONFIDENCE
) -> list[Interval]:
    """Widen the intervals of several estimates until all of them hold at once in `confidence` of the resamples.

    Each estimate's distance from its resamples is divided by their standard deviation, and the largest of these in a
    resample decides: one factor for all. Where estimates go together, that is less than dividing the error rate by
    their number would cost.

    Source: Romano and Wolf 2005 (Econometrica 73(4), 1237-1282), the single step with studentised statistics.

    Args:
        values (`Sequence[float]`): The C estimates.
        samples_RC (`ndarray` of shape `(R, C)`): Each in every resample; a resample is the same for all.
        confidence (`float`, *optional*, defaults to `0.95`): Share of the resamples in which all hold.

    Raises:
        DataError: Another number of estimates than of columns, or fewer than two resamples.
    """
    if samples_RC.ndim != 2 or samples_RC.shape[1] != len(values) or len(samples_RC) < 2:
        raise DataError(f"{len(values)} estimates need a table of resamples x estimates, not {samples_RC.shape}")
    if not values:
        return []
    values_C = np.asarray(values, dtype=np.float64)
    errors_C = samples_RC.std(axis=0, ddof=1)
    # What is the same in every resample is known without error, and leaves the others as they are.
    known_C = errors_C == 0
    distances_RC = np.abs(samples_RC - values_C) / np.where(known_C, 1.0, errors_C)
    largest_R = np.sort(np.where(known_C, 0.0, distances_RC).max(axis=1))
    # A whole sample, the outer one of two neighbours, as for percentile intervals.
    factor = float(largest_R[min(len(largest_R) - 1, int(np.ceil((len(largest_R) - 1) * confidence - 1e-9)))])
    return [
        Interval(float(value), float(value - factor * error), float(value + factor * error))
        for value, error in zip(values_C, errors_C, strict=True)
    ]
