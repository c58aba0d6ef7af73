"""Numbers that are made of mean credits, of one run or several, and how sure they are.

A difference of accuracies is a mean over examples and seeds. A PGR is a ratio of two, a share among the mistakes of a
supervisor too, and a comparison of settings takes several on different examples. All of them are, to first order, sums
of what each example contributes with each seed: to a ratio A / B it contributes (a - A/B b) / B (Särndal, Swensson and
Wretman 1992, Model Assisted Survey Sampling, section 5.5). So one variance serves them all, that of
[`~w2s_rm.metrics.intervals`]: what is on the same examples is paired, and so is what is of the same seed, for runs of
one seed may have a pretrained model in common.

Shape suffixes: S seeds, N examples, G groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import ERROR, Estimate, Interval, rare_share, summed


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number from mean credits.

    Args:
        value (`float`): The number.
        means_S (`ndarray` of shape `(S,)`): What it is with each seed, to first order and but for a constant.
        groups (`tuple[str, ...]`): The groups of its examples, sorted.
        shares_SG (`ndarray` of shape `(S, G)`): What the examples of each group add to the mean of a seed, beyond what
            as many average examples would.
        sure (`bool`, *optional*, defaults to `True`): Whether each ratio in it divides by what is told from zero; if
            not, its error has no bound.
        reach (`float`, *optional*, defaults to `0.0`): How far one example may be from the number, at the most.
        alike (`tuple[tuple[float, int], ...]`, *optional*): Of each mean in it whose examples do not differ, how far
            one may be from it, and how many were drawn. No variance knows of these, and their widths add up.
    """

    value: float
    means_S: Floats
    groups: tuple[str, ...]
    shares_SG: Floats
    sure: bool = True
    reach: float = 0.0
    alike: tuple[tuple[float, int], ...] = ()

    def times(self, factor: float) -> Quantity:
        """Return the number multiplied.

        Args:
            factor (`float`): By what.
        """
        return dataclasses.replace(
            self,
            value=factor * self.value,
            means_S=factor * self.means_S,
            shares_SG=factor * self.shares_SG,
            reach=abs(factor) * self.reach,
            alike=tuple((abs(factor) * reach, n_drawn) for reach, n_drawn in self.alike),
        )

    def less(self, constant: float) -> Quantity:
        """Return the number less one that is known.

        Args:
            constant (`float`): How much less.
        """
        return dataclasses.replace(self, value=self.value - constant, means_S=self.means_S - constant)

    def plus(self, other: Quantity) -> Quantity:
        """Return the sum.

        Args:
            other ([`Quantity`]): From the same seeds; from the same groups of examples or others.

        Raises:
            DataError: Other numbers of seeds.
        """
        if len(self.means_S) != len(other.means_S):
            raise DataError(
                f"numbers of {len(self.means_S)} and of {len(other.means_S)} seeds cannot be compared; give the runs "
                "the same `seeds`"
            )
        # Over the groups of both: where they share one, its contributions meet in one column, and so are paired.
        groups = self.groups if self.groups == other.groups else tuple(sorted({*self.groups, *other.groups}))
        shares_SG = self._spread(groups) + other._spread(groups)
        means_S = self.means_S + other.means_S
        sure, reach = self.sure and other.sure, self.reach + other.reach
        alike = self.alike + other.alike
        return Quantity(self.value + other.value, means_S, groups, shares_SG, sure, reach, alike)

    def minus(self, other: Quantity) -> Quantity:
        """Return the difference; see [`plus`]."""
        return self.plus(other.times(-1.0))

    def over(self, other: Quantity) -> Quantity:
        """Return the ratio: it is sure only where the other is told from zero, and 0 where the other is 0.

        Args:
            other ([`Quantity`]): What is divided by; see [`plus`].
        """
        if other.value == 0:
            return dataclasses.replace(self.times(0.0), sure=False)
        ratio, interval = self.value / other.value, other.interval()
        # What each example contributes to the ratio: (a - A/B b) / B. Its own value is 0 and is replaced.
        linear = self.minus(other.times(ratio)).times(1 / other.value)
        return dataclasses.replace(linear, value=ratio, sure=linear.sure and not interval.low <= 0 <= interval.high)

    def estimate(self) -> Estimate:
        """Return the number with the two variances of its error."""
        n_seeds, n_groups = self.shares_SG.shape
        # Bessel's correction: contributions were centred by their own mean.
        scale = n_groups / max(1, n_groups - 1)
        same_seed, totals_G = float((self.shares_SG**2).sum()), self.shares_SG.sum(axis=0)
        if n_seeds == 1:
            return Estimate(self.value, 0.0, scale * same_seed, n_seeds, n_groups)
        seeds = float(self.means_S.var(ddof=1)) / n_seeds
        # An estimate by covariances of two seeds, which may come out below zero.
        examples = max(0.0, scale * (float(totals_G @ totals_G) - same_seed) / (n_seeds * (n_seeds - 1)))
        if Estimate(self.value, seeds, examples, n_seeds, n_groups).alike:
            # Examples may differ all the same, where seeds came out equal: then as if each seed had drawn its own.
            examples = scale * same_seed / n_seeds**2
        return Estimate(self.value, seeds, examples, n_seeds, n_groups)

    def interval(self, error: float = ERROR) -> Interval:
        """Return the interval, unbounded where the number is not sure.

        Args:
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        half = self.half_width(error) if self.sure else float("inf")
        return Interval(self.value, self.value - half, self.value + half)

    def half_width(self, error: float = ERROR) -> float:
        """Return how far the interval reaches to either side, as if the number were sure.

        Args:
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        found = self.estimate()
        # Means that differ within, and by the same in each example, leave no variance of their difference either.
        alike = self.alike or (((self.reach, found.n_drawn),) if found.alike else ())
        return found.half_width(error) + sum(reach * rare_share(n_drawn, error) for reach, n_drawn in alike)

    def _spread(self, groups: tuple[str, ...]) -> Floats:
        """The groups' shares among more groups."""
        if groups == self.groups:
            return self.shares_SG
        shares_SG = np.zeros((len(self.means_S), len(groups)))
        # Both are sorted. Groups that this number has no examples of contribute nothing to it.
        shares_SG[:, np.searchsorted(groups, self.groups)] = self.shares_SG
        return shares_SG


def mean_of(values_SN: Floats, groups: Sequence[str], reach: float | None = None) -> Quantity:
    """Return a mean over examples and seeds.

    Args:
        values_SN (`ndarray` of shape `(S, N)`): Values, a row for each seed.
        groups (`Sequence[str]`): The group of each example; of one that is alone, its id.
        reach (`float`, *optional*): How far one example may be from the mean; by default as far as credits may, which
            lie in [0, 1].

    Raises:
        DataError: No seeds, no examples, or another number of groups.
    """
    if values_SN.ndim != 2 or 0 in values_SN.shape or values_SN.shape[1] != len(groups):
        raise DataError(
            f"a mean needs a table seeds x examples and the group of each example; the table is {values_SN.shape}, and "
            f"{len(groups)} groups are given"
        )
    means_S = values_SN.mean(axis=1)
    # Less the mean of their own seed: how seeds differ is in `means_S`, and must not count among the examples once
    # more.
    shares_SG = summed((values_SN - means_S[:, None])[None] / values_SN.shape[1], groups)[0]
    value = float(means_S.mean())
    names = tuple(np.unique(np.asarray(groups)).tolist())
    made = Quantity(value, means_S, names, shares_SG, reach=max(value, 1 - value) if reach is None else reach)
    return dataclasses.replace(made, alike=((made.reach, len(names)),)) if made.estimate().alike else made


def share_of(part_SN: Floats, whole_SN: Floats, groups: Sequence[str]) -> Quantity:
    """Return the mean over seeds of a share within each: the sum of a part over the sum of its whole.

    Args:
        part_SN (`ndarray` of shape `(S, N)`): How far each example is in the part, a row for each seed.
        whole_SN (`ndarray` of shape `(S, N)`): How far it is in the whole.
        groups (`Sequence[str]`): The group of each example; of one that is alone, its id.

    Raises:
        DataError: The whole of a seed is empty, or what [`mean_of`] refuses.
    """
    sums_S = whole_SN.sum(axis=1)
    if not sums_S.all():
        raise DataError("a share of nothing: with one of the seeds no example belongs to the whole")
    shares_S = part_SN.sum(axis=1) / sums_S
    # To first order an example moves a share by how far it is in the part beyond the share of its whole.
    moved_SN = (part_SN - shares_S[:, None] * whole_SN) / whole_SN.mean(axis=1, keepdims=True)
    # One more in the whole moves a share by one over how many are in it, where it moves a mean by one over all.
    return mean_of(shares_S[:, None] + moved_SN, groups, reach=float((1 / whole_SN.mean(axis=1)).max()))
