"""The temperature at which the right candidates are most likely, and what a model says when it is fitted honestly.

Shape suffixes: B examples, F candidates of all examples in one flat row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.forecasts import Forecasts

# Of Newton's steps and halvings together; a handful is enough.
_STEPS = 200
_TOLERANCE = 1e-12


def best_temperature(said: Forecasts, chosen_B: NDArray[np.bool_] | None = None) -> float | None:
    """Minimise the mean negative log-likelihood over the temperature; it is convex in `1/T`.

    The transform `temperature` fits labels in the same way, exactly and one by one; this is for the many models of a
    report.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 4.2, equation 9.

    Args:
        said ([`~w2s_rm.metrics.forecasts.Forecasts`]): What the model says.
        chosen_B (`ndarray` of shape `(B,)`, *optional*): Which examples to fit to; all by default.

    Returns:
        `float`: `None` where there is no best one: no examples, a right candidate that is excluded, all right, so that
        it would be 0, or no better than chance, so that it would be infinite.
    """
    chosen_B = np.ones(len(said.gold_B), dtype=bool) if chosen_B is None else chosen_B
    lengths_B = said.lengths_B[chosen_B]
    if not len(lengths_B):
        return None
    logs_F = said.logs_F[np.repeat(chosen_B, said.lengths_B)]
    starts_B = np.concatenate([[0], np.cumsum(lengths_B)[:-1]])
    gold_B = logs_F[starts_B + said.gold_B[chosen_B]]
    if not np.isfinite(gold_B).all() or (gold_B == np.maximum.reduceat(logs_F, starts_B)).all():
        return None
    # An excluded candidate stays excluded at every temperature, and 0 times its logarithm would be NaN.
    excluded_F = np.isneginf(logs_F)
    highest_F = np.repeat(np.maximum.reduceat(logs_F, starts_B), lengths_B)
    finite_F, below_F = (np.where(excluded_F, 0.0, values_F) for values_F in (logs_F, logs_F - highest_F))

    def slopes(inverse: float) -> tuple[float, float]:
        """First and second derivative of the mean loss at `1/T`."""
        weights_F = np.where(excluded_F, 0.0, np.exp(inverse * below_F))
        totals_B, firsts_B, seconds_B = (
            np.add.reduceat(weights_F * powers_F, starts_B) for powers_F in (1.0, finite_F, finite_F**2)
        )
        means_B = firsts_B / totals_B
        return float((means_B - gold_B).mean()), float((seconds_B / totals_B - means_B**2).mean())

    # The loss rises from 1/T = 0 on: the flattest forecast is the best.
    if slopes(0.0)[0] >= 0:
        return None
    # 1 is the temperature at which the model speaks: most fits end near it.
    low, high, inverse = 0.0, np.inf, 1.0
    for _ in range(_STEPS):
        slope, curvature = slopes(inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        newton = inverse - slope / curvature if curvature > 0 else np.inf
        # A step that leaves what is known of the minimum is replaced by one that halves it.
        following = newton if low < newton < high else (2 * low if np.isinf(high) else (low + high) / 2)
        if abs(following - inverse) <= _TOLERANCE * inverse:
            break
        inverse = following
    return 1 / inverse


@dataclass(frozen=True)
class Tempered:
    """What a model says with a temperature that was fitted to other examples.

    Args:
        said ([`~w2s_rm.metrics.forecasts.Forecasts`]): Each example at the temperature fitted to the other half.
        temperatures (`tuple[float, float]`): Fitted to the first half and to the second.
    """

    said: Forecasts
    temperatures: tuple[float, float]


def cross_fitted(said: Forecasts, second_B: NDArray[np.bool_]) -> Tempered | None:
    """Fit a temperature to each half of the examples, and use it on the other one: none is judged by its own fit.

    Args:
        said ([`~w2s_rm.metrics.forecasts.Forecasts`]): What the model says.
        second_B (`ndarray` of shape `(B,)`): Which examples are in the second half; a group should be in one alone.

    Returns:
        [`Tempered`]: `None` where one of the halves has no best temperature.
    """
    first, second = (best_temperature(said, half_B) for half_B in (~second_B, second_B))
    if first is None or second is None:
        return None
    each_B: Floats = np.where(second_B, first, second)
    return Tempered(said.tempered(each_B), (first, second))
