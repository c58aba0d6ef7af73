"""Many differences at once: intervals that all hold together, and p-values adjusted for their number.

Shape suffixes: M models, C comparisons, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import ERROR, Means

_RNG_SEED = 0
# So that an error of 0.05 is known to within 0.0014, twice its standard error.
_DRAWS = 100_000
_HALVINGS = 50


def joint_error(correlations: Sequence[Floats], error: float = ERROR) -> float:
    """Return the error that each of many intervals may have so that all of them hold together but for `error`.

    Where estimates go together, it is more than `error` divided by their number. Of correlated ones it is read from
    draws of normal numbers with these correlations, the largest of which decides (Hothorn, Bretz and Westfall 2008,
    Biometrical Journal 50(3), 346-363); those of independent families hold or fail independently.

    Args:
        correlations (`Sequence` of `ndarray` of shape `(C, C)`): Of the estimates of each family.
        error (`float`, *optional*, defaults to `0.05`): How often some interval may miss its truth.
    """
    families = [_largest(correlation_CC) for correlation_CC in correlations if len(correlation_CC)]
    low, high = 0.0, error
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        holds = math.prod(_all_hold(largest_R, middle) for largest_R in families)
        # The lower end is returned: at it all intervals are known to hold often enough.
        low, high = (middle, high) if holds >= 1 - error else (low, middle)
    return low


def _largest(correlation_CC: Floats) -> Floats | None:
    """The largest distance from zero of each draw, in order; `None` for one estimate, which needs no draws."""
    if len(correlation_CC) == 1:
        return None
    values, vectors = np.linalg.eigh(correlation_CC)
    # Estimates that always go together leave eigenvalues of zero, but for rounding.
    roots_CC = vectors * np.sqrt(np.maximum(values, 0))
    draws_RC = np.random.default_rng(_RNG_SEED).standard_normal((_DRAWS, len(values))) @ roots_CC.T
    return np.sort(np.abs(draws_RC).max(axis=1))


def _all_hold(largest_R: Floats | None, error: float) -> float:
    """How often all intervals of a family hold, each with an error of its own."""
    if largest_R is None:
        return 1 - error
    # All hold in a draw whose largest distance is within the quantile; sorted, their number is a place.
    return float(np.searchsorted(largest_R, -NormalDist().inv_cdf(error / 2)) / len(largest_R))


def correlations(means: Means, weights_CM: Floats) -> Floats:
    """Return how estimates from the same seeds and examples go together, `ndarray` of shape `(C, C)`.

    Args:
        means ([`~w2s_rm.metrics.intervals.Means`]): Of the models.
        weights_CM (`ndarray` of shape `(C, M)`): The weights of each estimate; none may be known without error.
    """
    seeds_CC, examples_CC = (
        weights_CM @ covariance_MM @ weights_CM.T for covariance_MM in (means.seeds_MM, means.examples_MM)
    )
    variances_CC = seeds_CC + _without_negative(examples_CC)
    scales_C = np.sqrt(np.diag(variances_CC))
    correlations_CC: Floats = variances_CC / np.outer(scales_C, scales_C)
    return correlations_CC


def _without_negative(covariance_CC: Floats) -> Floats:
    """The nearest matrix that can be a covariance: an estimate by covariances of seeds may be none."""
    values, vectors = np.linalg.eigh(covariance_CC)
    nearest_CC: Floats = (vectors * np.maximum(values, 0)) @ vectors.T
    return nearest_CC


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: each is at most `error` where its difference can be claimed beside all others.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2), 65-70.

    Args:
        p_values (`Sequence[float]`): Of all comparisons.

    Raises:
        DataError: One is no probability.
    """
    p_C = np.asarray(p_values, dtype=np.float64)
    if not ((p_C >= 0) & (p_C <= 1)).all():
        raise DataError(f"p-values must lie in [0, 1]: {list(p_values)}")
    order = np.argsort(p_C, kind="stable")
    # The smallest counts for all, the next for all but one; and none is below a smaller one's.
    steps = np.maximum.accumulate(p_C[order] * np.arange(len(p_C), 0, -1))
    adjusted_C = np.empty_like(p_C)
    adjusted_C[order] = np.minimum(1, steps)
    return [float(p) for p in adjusted_C]


def holm_errors(p_values: Sequence[float], error: float = ERROR) -> list[float]:
    """Return the error at which Holm's procedure tests each of many comparisons; see [`holm`].

    The smallest p-value is held against `error` divided by their number, the next against `error` divided by one less,
    and so on until one is too large; all that follow are held against what that one was. So an interval with the error
    of its comparison leaves zero out exactly where [`holm`] gives at most `error`.

    Args:
        p_values (`Sequence[float]`): Of all comparisons.
        error (`float`, *optional*, defaults to `0.05`): How often any of them may be claimed wrongly.

    Raises:
        DataError: One is no probability.
    """
    claimed = sum(p <= error for p in holm(p_values))
    # The first sorts, the second says of each where it came to stand.
    ranks = np.argsort(np.argsort(p_values, kind="stable"), kind="stable")
    # Where all are claimed, the last of them was held against the whole error.
    return [error / (len(p_values) - min(int(rank), claimed, len(p_values) - 1)) for rank in ranks]
