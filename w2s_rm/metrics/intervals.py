"""Intervals of accuracies and of their differences over test examples and seeds.

Both are samples, and they are crossed: the models of every seed are scored on the same examples. So a mean credit has
two errors. One is between seeds; its variance is that of the seeds' means, divided by their number. The other comes
from the examples, which are easy or hard for all seeds alike; its variance is the covariance of the credits of two
different seeds, divided by the number of examples. The sum is the usual estimate for a two-way table with random rows
and columns (Searle, Casella and McCulloch 1992, Variance Components, chapter 4), without bias whatever credits are.

Examples that share a prompt, a question or a fact are no draws of their own: whoever knows one of them is right on the
others too. Where groups are known, these are what was drawn, and the sums of a group's credits less the mean take the
place of single ones (the linearised variance of a ratio with clusters as units, Cochran 1977, Sampling Techniques,
section 9A.2 and 6.4). With one example in each group it is the same number.

The first is known from few seeds and the second from many examples, so that no one t distribution fits. The factor of
the standard error is the mean of both t quantiles, each weighted with its variance (Cochran and Cox 1950, Experimental
Designs, section 4.14; Cochran 1964, Biometrics 20(2), 191-195). It is exact where one of the two is nothing, and
somewhat too wide between them. With one seed there is nothing but the examples, and an interval says nothing about how
another seed would come out.

Where no two of the drawn examples differ, their variance is no estimate: so many that are alike say only that others
are rare. Half the interval is then `t² / (n + t²)` of how far one example could be from what was seen, as in Wilson's
for a share of 0 or 1. One drawn example, or one group, says nothing: its interval has no ends but those of what can be.

Shape suffixes: M models, S seeds, N examples.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.student import LEAST_ERROR, quantile

ERROR = 0.05
"""The share of intervals that may miss the truth: they have a confidence of 95 %."""
# Below it a variance is rounding: one example among a million that differs, by a hundredth of a credit, gives 1e-16.
_NOTHING = 1e-24
# Of ten orders of magnitude: far finer than any p-value is read.
_HALVINGS = 60


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Args:
        value (`float`): The estimate from all examples and seeds.
        low (`float`): Lower end.
        high (`float`): Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A mean credit, or a sum of several with weights, and the two variances of its error.

    Args:
        value (`float`): The estimate from all examples and seeds.
        seed_variance (`float`): What comes from the choice of seeds.
        example_variance (`float`): What comes from the choice of examples.
        n_seeds (`int`): Seeds.
        n_drawn (`int`): Independent examples: groups, where these are known.
        reach (`float`, *optional*, defaults to `0.0`): How far one example may be from the estimate, for where none
            that was drawn is.
    """

    value: float
    seed_variance: float
    example_variance: float
    n_seeds: int
    n_drawn: int
    reach: float = 0.0

    @property
    def variance(self) -> float:
        """The variance of the whole error."""
        return self.seed_variance + self.example_variance

    @property
    def alike(self) -> bool:
        """Whether no two of the drawn examples, and no two seeds, differ as far as the variances tell."""
        return self.variance <= _NOTHING

    def half_width(self, error: float = ERROR) -> float:
        """Return how far the interval reaches to either side.

        Args:
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        variances = self.seed_variance, self.example_variance
        return float(half_widths(*variances, self.n_seeds, self.n_drawn, error, reaches=self.reach))

    def interval(self, error: float = ERROR) -> Interval:
        """Return the interval, of which no end goes beyond what a difference of accuracies can be.

        Args:
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        half = self.half_width(error)
        return Interval(self.value, max(-1.0, self.value - half), min(1.0, self.value + half))

    def p_value(self) -> float:
        """Return the p-value of zero: the error at which the interval ends there, not below 1e-10."""
        if self.value == 0:
            return 1.0
        low, high = LEAST_ERROR, 1.0
        for _ in range(_HALVINGS):
            # In the middle of the orders of magnitude.
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self.half_width(middle) < abs(self.value) else (middle, high)
        return high


@dataclass(frozen=True)
class Means:
    """Mean credits of models that were scored on the same examples, and the two parts of their errors' covariance.

    Args:
        values_M (`ndarray` of shape `(M,)`): Mean credit of each model over examples and seeds.
        seeds_MM (`ndarray` of shape `(M, M)`): What comes from the choice of seeds; zero with one seed.
        examples_MM (`ndarray` of shape `(M, M)`): What comes from the choice of examples.
        n_seeds (`int`): Seeds.
        n_examples (`int`): Examples.
        n_drawn (`int`): Independent ones of them: groups, where these are known.
    """

    values_M: Floats
    seeds_MM: Floats
    examples_MM: Floats
    n_seeds: int
    n_examples: int
    n_drawn: int

    def of(self, models: Sequence[int]) -> Means:
        """Return the means of some of the models.

        Args:
            models (`Sequence[int]`): Their places.
        """
        rows = np.ix_(models, models)
        return dataclasses.replace(
            self, values_M=self.values_M[list(models)], seeds_MM=self.seeds_MM[rows], examples_MM=self.examples_MM[rows]
        )

    def combined(self, weights_M: Sequence[float] | Floats) -> Estimate:
        """Return a sum of the mean credits.

        Args:
            weights_M (`Sequence[float]`): The weight of each: `[1, -1]` for the difference of two.
        """
        # The variance of a sum of correlated numbers with weights w is w' C w.
        weights = np.asarray(weights_M, dtype=np.float64)
        # An estimate of a variance by covariances may come out below zero, and so may rounding.
        seeds, examples = (
            max(0.0, float(weights @ covariance_MM @ weights)) for covariance_MM in (self.seeds_MM, self.examples_MM)
        )
        (reach,) = self.reaches(weights[None])
        return Estimate(float(weights @ self.values_M), seeds, examples, self.n_seeds, self.n_drawn, float(reach))

    def reaches(self, weights_AM: Floats) -> Floats:
        """Return how far one example may be from each of several sums of the mean credits, `ndarray` of shape `(A,)`.

        Args:
            weights_AM (`ndarray` of shape `(A, M)`): The weights of each sum.
        """
        # Credits are between 0 and 1: the most of a sum has those of positive weights, the least the others.
        most_A, least_A = np.maximum(weights_AM, 0).sum(axis=1), np.minimum(weights_AM, 0).sum(axis=1)
        values_A = weights_AM @ self.values_M
        reaches_A: Floats = np.maximum(most_A - values_A, values_A - least_A)
        return reaches_A


def means_of(correct_MSN: Sequence[Floats], groups: Sequence[str] | None = None) -> Means:
    """Return the mean credits of several models and the covariance of their errors.

    Args:
        correct_MSN (`Sequence` of M `ndarray` of shape `(S, N)`): Credits in [0, 1] of each model, a row for each seed.
        groups (`Sequence[str]`, *optional*): The group of each example; without, each is one of its own.

    Raises:
        DataError: Models with different seeds or examples, no seeds, no examples, or credits outside [0, 1].
    """
    _check(correct_MSN)
    table_MSN = np.array(correct_MSN, dtype=np.float64)
    n_models, n_seeds, n_examples = table_MSN.shape
    means_MS = table_MSN.mean(axis=2)
    centred_MSN = table_MSN - means_MS[:, :, None]
    # From here on N are the examples that were drawn: groups, each with the sum of its own.
    drawn_MSN = centred_MSN if groups is None else summed(centred_MSN, groups)
    n_drawn = drawn_MSN.shape[2]
    flat = drawn_MSN.reshape(n_models, -1)
    # Products of two models' credits, summed over examples: of the same seed, and (below) of the sums over all seeds,
    # which hold those of two different seeds too. The difference is of different seeds alone, S (S - 1) pairs of them.
    same_seed_MM, totals_MN = flat @ flat.T, drawn_MSN.sum(axis=1)
    # A table of one example has no variance; dividing by 1 instead of 0 says so.
    pairs = max(1, n_drawn - 1) / n_drawn * n_examples**2
    # One seed cannot tell how much of the credits' spread is its own: all of it counts as the examples'.
    if n_seeds == 1:
        seeds_MM, examples_MM = np.zeros_like(same_seed_MM), same_seed_MM / pairs
    else:
        # How far the means of seeds lie apart is partly the seeds' doing and partly what examples do to each seed
        # alone: both are errors of their mean.
        around_MS = means_MS - means_MS.mean(axis=1, keepdims=True)
        seeds_MM = around_MS @ around_MS.T / ((n_seeds - 1) * n_seeds)
        examples_MM = (totals_MN @ totals_MN.T - same_seed_MM) / (n_seeds * (n_seeds - 1) * pairs)
    return Means(means_MS.mean(axis=1), seeds_MM, examples_MM, n_seeds, n_examples, n_drawn)


def summed(values_MSN: Floats, groups: Sequence[str]) -> Floats:
    """Return sums over the examples of each group, `ndarray` of shape `(M, S, G)`, groups in the order of their names.

    Args:
        values_MSN (`ndarray` of shape `(M, S, N)`): Values.
        groups (`Sequence[str]`): The group of each example.
    """
    _, places_N = np.unique(np.asarray(groups), return_inverse=True)
    # `reduceat` adds up neighbours, so the examples of a group are brought together first.
    by_place_N = np.argsort(places_N, kind="stable")
    starts_G = np.flatnonzero(np.diff(places_N[by_place_N], prepend=-1))
    sums_MSG: Floats = np.add.reduceat(values_MSN[:, :, by_place_N], starts_G, axis=2)
    return sums_MSG


def accuracy_interval(correct_SN: Floats, groups: Sequence[str] | None = None) -> Interval:
    """Mean accuracy over seeds and examples with its interval, which lies in [0, 1].

    Args:
        correct_SN (`ndarray` of shape `(S, N)`): Credit in [0, 1] of each example, one row for each seed.
        groups (`Sequence[str]`, *optional*): The group of each example; without, each is one of its own.

    Raises:
        DataError: No seeds, no examples, or credits outside [0, 1].
    """
    estimate = means_of([correct_SN], groups).combined([1])
    return share_interval(estimate.value, estimate.half_width(), estimate.n_drawn)


def share_interval(value: float, half_width: float, n_examples: int) -> Interval:
    """Return the interval of a share that lies in [0, 1], by Wilson's method.

    As far as the share is from 0 and 1 it is `value` plus or minus `half_width`. Near them the ends are those of
    Wilson 1927 (Journal of the American Statistical Association 22(158), 209-212) for as many independent examples as
    give that half-width, the effective number of Korn and Graubard 1998 (Survey Methodology 24(2), 193-201).

    Args:
        value (`float`): The share.
        half_width (`float`): That of the symmetric interval.
        n_examples (`int`): Drawn ones: the number where no example differs from another, right all or wrong all; of a
            single one the interval is all that a share can be.
    """
    if n_examples < 2:
        return Interval(value, 0.0, 1.0)
    spread = value * (1 - value)
    # Where no example differs from another, right all or wrong all, there is no variance, but a number of examples.
    variance = half_width**2 if spread > 0 else float(half_widths(0.0, 1.0, 1, n_examples)) ** 2 / n_examples
    squared = variance / (spread or 1.0)
    # Wilson's ends solve (p - value)² = squared · p (1 - p), where `squared` is t² / n with the effective n.
    centre, half = value + squared / 2, math.sqrt(squared * spread + squared**2 / 4)
    low, high = (min(1.0, max(0.0, (centre + sign * half) / (1 + squared))) for sign in (-1, 1))
    # Rounding must not put the share outside.
    return Interval(value, min(low, value), max(high, value))


def difference_interval(correct_SN: Floats, other_SN: Floats, groups: Sequence[str] | None = None) -> Interval:
    """How much more accurate one model is than another, with a paired interval over seeds and examples.

    Args:
        correct_SN (`ndarray` of shape `(S, N)`): Credit in [0, 1] of each example, one row for each seed.
        other_SN (`ndarray` of shape `(S, N)`): The same of the model to compare with.
        groups (`Sequence[str]`, *optional*): The group of each example; without, each is one of its own.

    Raises:
        DataError: Different shapes, no seeds, no examples, or credits outside [0, 1].
    """
    return means_of([correct_SN, other_SN], groups).combined([1, -1]).interval()


def half_widths(
    seed_variances: Floats | float,
    example_variances: Floats | float,
    n_seeds: int,
    n_examples: int,
    error: float = ERROR,
    *,
    reaches: Floats | float = 0.0,
) -> Floats:
    """Return half the widths of intervals, of any shape; see the head of this file.

    Args:
        seed_variances (`ndarray` or `float`): Variances from the choice of seeds; zero with one seed.
        example_variances (`ndarray` or `float`): Variances from the choice of examples.
        n_seeds (`int`): Seeds.
        n_examples (`int`): Examples.
        error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        reaches (`ndarray` or `float`, *optional*, defaults to `0.0`): How far one example may be from each estimate.
    """
    seeds, examples = np.asarray(seed_variances), np.asarray(example_variances)
    if n_examples < 2:
        return np.full(np.broadcast_shapes(seeds.shape, examples.shape), np.inf)
    of_seeds, of_examples = (quantile(error, max(1, number - 1)) for number in (n_seeds, n_examples))
    total = seeds + examples
    alike = total <= _NOTHING
    # (t_s v_s + t_e v_e) / (v_s + v_e) is Cochran's t; times the standard error, the root of v_s + v_e.
    weighted = (of_seeds * seeds + of_examples * examples) / np.sqrt(np.where(alike, 1.0, total))
    return np.where(alike, reaches * rare_share(n_examples, error), weighted)


def rare_share(n_drawn: int, error: float = ERROR) -> float:
    """Return how many examples may be others where none that was drawn is; see the head of this file.

    Args:
        n_drawn (`int`): How many were drawn.
        error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
    """
    squared = quantile(error, max(1, n_drawn - 1)) ** 2
    return float(squared / (n_drawn + squared))


def _check(correct_MSN: Sequence[Floats]) -> None:
    shapes = sorted({array.shape for array in correct_MSN})
    if len(shapes) != 1:
        raise DataError(f"models need the same seeds and examples; their (seeds, examples) are {shapes}")
    if len(shapes[0]) != 2 or 0 in shapes[0]:
        raise DataError(f"credits must be a table seeds x examples with at least one of each; the shape is {shapes[0]}")
    if not all(bool(((array >= 0) & (array <= 1)).all()) for array in correct_MSN):
        raise DataError("credits must lie in [0, 1]: 1 for right, 0 for wrong, between them for ties")
