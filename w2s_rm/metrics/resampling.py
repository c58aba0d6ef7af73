"""Intervals for anything that is made of sums over examples: groups of examples and seeds are drawn again and again.

Examples that share a prompt tell less than as many that do not, so whole groups are drawn. With groups of one example
it is the plain bootstrap.

Shape suffixes: N examples, G groups, S seeds, R resamples, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import Estimate, Interval, share_interval

# The ends lie at the 25th and the 975th of them; of normal samples their own standard error is 4 % of the half-width.
N_RESAMPLES = 1000
# On either side of the middle 95 %.
_OUTSIDE = 0.025
_RNG_SEED = 0
_ROUNDING = 1e-9
# Numbers drawn at a time: 32 MB, however many groups there are.
_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class Resampling:
    """Which groups of examples are drawn how often: the same ones for whatever is asked.

    Source: Field and Welsh 2007, "Bootstrapping clustered data" (Journal of the Royal Statistical Society B 69(3),
    369-390), the cluster bootstrap.

    Args:
        group_N (`ndarray` of shape `(N,)`): Number of the group of each example, from 0 to G - 1.
        n_groups (`int`): G.
        n_resamples (`int`): R.
        stream (`int`, *optional*, defaults to `0`): Draws of different streams are independent.
    """

    group_N: NDArray[np.int64]
    n_groups: int
    n_resamples: int
    stream: int = 0

    @property
    def sizes_G(self) -> NDArray[np.int64]:
        """Number of examples, of shape `(G,)`, in each group."""
        return np.bincount(self.group_N, minlength=self.n_groups)

    def sums(self, values_NC: Floats) -> Floats:
        """Add up each column over the examples of each resample.

        Args:
            values_NC (`ndarray` of shape `(N, C)`): Finite values.

        Returns:
            `ndarray` of shape `(R, C)`.
        """
        order_N = np.argsort(self.group_N, kind="stable")
        starts_G = np.concatenate([[0], np.cumsum(self.sizes_G)[:-1]])
        # Groups are drawn whole, so their sums are all that a resample needs: a product of matrices in place of R x N
        # numbers.
        sums_GC = np.add.reduceat(values_NC[order_N], starts_G, axis=0)
        step = max(1, _CHUNK_NUMBERS // self.n_groups)
        firsts = range(0, self.n_resamples, step)
        return np.concatenate(
            [_drawn(self.stream, self.n_groups, i, min(step, self.n_resamples - i)) @ sums_GC for i in firsts]
        )


def resampling(groups: Sequence[str], *, n_resamples: int = N_RESAMPLES, stream: int = 0) -> Resampling:
    """Say which examples belong together.

    Args:
        groups (`Sequence[str]`): The group of each example.
        n_resamples (`int`, *optional*, defaults to `1000`): Resamples.
        stream (`int`, *optional*, defaults to `0`): Another number for examples that are drawn independently.

    Raises:
        DataError: No examples.
    """
    if not len(groups):
        raise DataError("no examples to resample; check that the evaluated split has examples")
    # Numbered by name: the order of the examples does not matter.
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    return Resampling(group_N.astype(np.int64), len(names), n_resamples, stream)


# A report asks again for each of its models.
@lru_cache(maxsize=4)
def _drawn(stream: int, n_groups: int, first: int, n_resamples: int) -> Floats:
    """How often each group is drawn in the resamples from `first` on, of shape `(R, G)`; read-only."""
    rng = np.random.default_rng((_RNG_SEED, stream, first))
    # Each resample counts in a range of its own, so that one `bincount` serves all.
    drawn_RG = rng.integers(0, n_groups, size=(n_resamples, n_groups)) + n_groups * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn_RG.ravel(), minlength=n_resamples * n_groups)
    counts_RG = counts.reshape(n_resamples, n_groups).astype(np.float64)
    # Whoever asks again is given the same table.
    counts_RG.setflags(write=False)
    return counts_RG


def sums_each(values_S: Sequence[Floats], drawn_S: Sequence[Resampling]) -> list[Floats]:
    """Add up the columns of each seed over the examples of each resample, at once where seeds have the same examples.

    Args:
        values_S (`Sequence` of S `ndarray` of shape `(N, C)`): Finite values.
        drawn_S (`Sequence` of S [`Resampling`]): Of the examples of each seed.

    Returns:
        `list[ndarray]`: S tables of shape `(R, C)`.
    """
    if any(drawn is not drawn_S[0] for drawn in drawn_S):
        return [drawn.sums(values_NC) for drawn, values_NC in zip(drawn_S, values_S, strict=True)]
    return np.split(drawn_S[0].sums(np.hstack(values_S)), len(values_S), axis=1)


def over_seeds(observed_S: Floats, resampled_RS: Floats) -> Floats:
    """Resamples of the mean over seeds of some figure: the mean of those of each, moved by what seeds leave open.

        mean_s(resampled_rs) + t_r * sqrt(sum_s (observed_s - mean)^2 / (S (S - 1)))

    with `t_r` from Student's distribution with S - 1 degrees of freedom. To draw seeds with replacement instead would
    give intervals far too short for the three seeds that one usually has: their spread comes out smaller by
    `sqrt((S - 1) / S)`, and that it is itself known from three numbers alone would be forgotten. One seed has no
    spread, and the interval says nothing about other seeds.

    Source: the distribution of a mean of few values of unknown spread, Student 1908 (Biometrika 6(1), 1-25); added to
    an independent one as in Behrens 1929 and Fisher 1935 (Annals of Eugenics 6(4), 391-398).

    Args:
        observed_S (`ndarray` of shape `(S,)`): The figure of each seed.
        resampled_RS (`ndarray` of shape `(R, S)`): The same in each resample of the examples.

    Returns:
        `ndarray` of shape `(R,)`.
    """
    means_R, n_seeds = resampled_RS.mean(axis=1), len(observed_S)
    if n_seeds == 1:
        return means_R
    # The same draws whatever figure is asked for: those of one report differ by their data alone.
    t_R = np.random.default_rng((_RNG_SEED, n_seeds)).standard_t(n_seeds - 1, size=len(means_R))
    return means_R + t_R * observed_S.std(ddof=1) / np.sqrt(n_seeds)


def mean_intervals(
    values_S: Sequence[Floats], drawn_S: Sequence[Resampling], *, shares: bool = False
) -> list[Interval]:
    """Means over examples, then over seeds, with their 95 % percentile intervals.

    Args:
        values_S (`Sequence` of S `ndarray` of shape `(N, C)`): C finite values for each example, for each seed.
        drawn_S (`Sequence` of S [`Resampling`]): Of the examples of each seed: the same one where they are the same.
        shares (`bool`, *optional*, defaults to `False`): Whether they are credits, whose means are shares; see
            [`of_share`].

    Returns:
        `list[Interval]`: One for each column.
    """
    observed_SC = np.stack([values_NC.mean(axis=0) for values_NC in values_S])
    # Groups differ in size, so resamples do in their number of examples.
    counted_S = [np.column_stack([values_NC, np.ones(len(values_NC))]) for values_NC in values_S]
    resampled_RSC = np.stack([sums[:, :-1] / sums[:, -1:] for sums in sums_each(counted_S, drawn_S)], axis=1)
    # A mean lies between the least and the greatest of what it is of.
    least_C, greatest_C = (
        pick([pick(values_NC, axis=0) for values_NC in values_S], axis=0) for pick in (np.min, np.max)
    )
    columns = zip(observed_SC.T, np.moveaxis(resampled_RSC, 2, 0), zip(least_C, greatest_C, strict=True), strict=True)
    found = [interval(observed_S, resampled_RS, bounds) for observed_S, resampled_RS, bounds in columns]
    return [of_share(one, least_groups(drawn_S)) for one in found] if shares else found


def group_mean_interval(values_S: Sequence[Floats], drawn_S: Sequence[Resampling]) -> Interval:
    """Mean over the groups of each group's mean credit, then over seeds, with its 95 % percentile interval.

    Args:
        values_S (`Sequence` of S `ndarray` of shape `(N,)`): A credit in [0, 1] for each example, for each seed.
        drawn_S (`Sequence` of S [`Resampling`]): Of the examples of each seed: the same one where they are the same.
    """
    # Each group weighs the same, and each example its share of its group; the sum over examples is then the mean over
    # groups.
    parts_S = [
        values_N / (drawn.sizes_G[drawn.group_N] * drawn.n_groups)
        for values_N, drawn in zip(values_S, drawn_S, strict=True)
    ]
    observed_S = np.array([parts_N.sum() for parts_N in parts_S])
    resampled_RS = np.hstack(sums_each([parts_N[:, None] for parts_N in parts_S], drawn_S))
    bounds = (min(map(np.min, values_S)), max(map(np.max, values_S)))
    return of_share(interval(observed_S, resampled_RS, bounds), least_groups(drawn_S))


def least_groups(drawn_S: Sequence[Resampling]) -> int:
    """Return the number of groups of the seed that has the fewest.

    Args:
        drawn_S (`Sequence` of S [`Resampling`]): Of the examples of each seed.
    """
    return min(drawn.n_groups for drawn in drawn_S)


def of_share(found: Interval, n_groups: int) -> Interval:
    """Return the interval of a share, which resamples cannot give where they are all the same, or all right or wrong.

    There it reaches at least as far as a bound from the number of groups, as that of
    [`~w2s_rm.metrics.intervals.accuracy_interval`] does.

    Args:
        found ([`~w2s_rm.metrics.intervals.Interval`]): From resamples.
        n_groups (`int`): Groups that were drawn.
    """
    # Sums of credits divided by their number may miss 1 by rounding.
    whole = float(round(found.value))
    value = whole if abs(found.value - whole) < _ROUNDING else found.value
    if n_groups > 1 and value != whole and found.high - found.low > _ROUNDING:
        return found
    alike = Estimate(value, 0.0, 0.0, 1, n_groups, reach=max(value, 1 - value))
    bound = share_interval(value, alike.half_width(), n_groups)
    return Interval(found.value, min(found.low, bound.low), max(found.high, bound.high))


def interval(observed_S: Floats, resampled_RS: Floats, bounds: tuple[float, float]) -> Interval:
    """Mean over seeds of some figure, with its 95 % percentile interval.

    Args:
        observed_S (`ndarray` of shape `(S,)`): The figure of each seed.
        resampled_RS (`ndarray` of shape `(R, S)`): The same in each resample of the examples.
        bounds (`tuple[float, float]`): Between which it must lie: what few seeds leave open reaches far.
    """
    low, high = np.clip(ends(over_seeds(observed_S, resampled_RS)), *bounds)
    return Interval(float(observed_S.mean()), float(low), float(high))


def ends(samples_R: Floats) -> tuple[float, float]:
    """Return the ends of the middle 95 % of samples.

    Args:
        samples_R (`ndarray` of shape `(R,)`): Finite samples.
    """
    low, high = np.quantile(samples_R, (_OUTSIDE, 1 - _OUTSIDE))
    return float(low), float(high)
