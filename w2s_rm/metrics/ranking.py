"""Which of several methods comes first over many tasks: mean ranks and wins, with intervals.

Shape suffixes: T tasks, M methods, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import ERROR, Interval, Means

_RNG_SEED = 0
_RESAMPLES = 10_000
# Means of the same credits, added up in another order, differ by rounding; of a million examples one is 1e-6.
_EQUAL = 1e-9
# Below this share of the largest a variance is rounding, and would tell methods apart that say the same everywhere.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Ranking:
    """Where a method stands among others.

    Args:
        mean_rank ([`Interval`]): Mean over tasks of its place by accuracy, 1 for the best; equals share their places.
        wins ([`Interval`]): Tasks in which it is the best; equals share the task.
    """

    mean_rank: Interval
    wins: Interval


def rank(tasks: Sequence[Means]) -> list[Ranking]:
    """Rank methods over tasks, with 95 % percentile intervals.

    In a resample tasks are drawn with replacement, and in each of them the accuracies of all methods are moved together
    by an error as large as that of their means over examples and seeds. Whoever leads by less than these errors is so
    not the first in each resample; where the rank that was found lies outside of what resamples give, the interval is
    widened to it. Few tasks say little of others: their number is the part of the uncertainty that is known worst.

    Args:
        tasks (`Sequence[Means]`): For each task the methods' means, methods in the same order.

    Returns:
        `list[Ranking]`: For each method, in their order.

    Raises:
        DataError: No tasks, or tasks with different numbers of methods.
    """
    if len({len(means.values_M) for means in tasks}) != 1:
        raise DataError("ranks need at least one task, and the same methods in each")
    places_TM = np.stack([_places(means.values_M) for means in tasks])
    wins_TM = np.stack([_firsts(means.values_M) for means in tasks])
    rng = np.random.default_rng(_RNG_SEED)
    moved_TRM = np.stack([_moved(rng, means) for means in tasks])
    # How often each task is drawn.
    weights_RT = rng.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), size=_RESAMPLES)
    places_RM = np.einsum("rt,trm->rm", weights_RT, _places(moved_TRM)) / len(tasks)
    wins_RM = np.einsum("rt,trm->rm", weights_RT, _firsts(moved_TRM))
    return [
        Ranking(
            _interval(float(places_TM[:, method].mean()), places_RM[:, method]),
            _interval(float(wins_TM[:, method].sum()), wins_RM[:, method]),
        )
        for method in range(places_TM.shape[1])
    ]


def _places(accuracies_XM: Floats) -> Floats:
    """The place of each along the last axis: one more than how many are better, and half of the other equals."""
    ahead_XMM = accuracies_XM[..., None, :] - accuracies_XM[..., :, None]
    # Less one for itself, which equals itself.
    equals_XM = (np.abs(ahead_XMM) <= _EQUAL).sum(axis=-1) - 1
    places_XM: Floats = 1 + (ahead_XMM > _EQUAL).sum(axis=-1) + equals_XM / 2
    return places_XM


def _firsts(accuracies_XM: Floats) -> Floats:
    best_XM = accuracies_XM >= accuracies_XM.max(axis=-1, keepdims=True) - _EQUAL
    firsts_XM: Floats = best_XM / best_XM.sum(axis=-1, keepdims=True)
    return firsts_XM


def _moved(rng: np.random.Generator, means: Means) -> Floats:
    """Accuracies that could be the true ones: of examples a normal error, of few seeds one of Student's t."""
    n_methods, freedom = len(means.values_M), max(1, means.n_seeds - 1)
    # One divisor for all methods of a resample: their spread over seeds was measured from the same few seeds (a
    # multivariate t).
    shrunk_R = np.sqrt(rng.chisquare(freedom, _RESAMPLES) / freedom)
    seeds_RM, examples_RM = (
        rng.standard_normal((_RESAMPLES, n_methods)) @ _root(covariance_MM)
        for covariance_MM in (means.seeds_MM, means.examples_MM)
    )
    moved_RM: Floats = means.values_M + seeds_RM / shrunk_R[:, None] + examples_RM
    return moved_RM


def _root(covariance_MM: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance_MM)
    # An estimate by covariances of seeds may have eigenvalues below zero.
    # A row of independent normal numbers times this matrix R has the covariance R' R, which is what was given.
    kept = np.where(values > _NOTHING * values.max(), values, 0)
    root_MM: Floats = (vectors * np.sqrt(np.maximum(kept, 0))).T
    return root_MM


def _interval(value: float, samples_R: Floats) -> Interval:
    low, high = np.quantile(samples_R, (ERROR / 2, 1 - ERROR / 2))
    return Interval(value, min(value, float(low)), max(value, float(high)))
