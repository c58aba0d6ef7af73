"""Accuracy and PGR as curves over the sizes of supervisor and student, with the error of what they say.

For a supervisor of size w and a student of size s, x = (1, log2 w, log2 s):

    logit of the student's accuracy = a · x        student - weak = (b · x) (ceiling - weak)

The first is a binomial regression of the accuracies, so that no curve leaves [0, 1] and a model without mistakes is no
trouble (McCullagh and Nelder 1989, Generalized Linear Models, chapter 4). The second is a straight line of PGR, found
by least squares in what students gain and not in their PGR: a gap of a point, where PGR is noise, counts a hundredth of
one of ten, and a pair without a gap says nothing. Three numbers are as much as a grid of five sizes can bear, and lines
in the logarithm of size are what is found of losses (Kaplan et al. 2020, arXiv 2001.08361); whether they predict is
measured, by leaving out one size after the other.

What the curves say depends on the accuracies, to first order linearly, so that its error is that of a sum of mean
credits: over examples and seeds, and given that the form is right.

Shape suffixes: R pairs, C coefficients (3), Q numbers that a curve is fitted to.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import ERROR, Interval
from w2s_rm.metrics.quantities import Quantity

# Most steps of Newton's method, which ends where no fitted logit moves by more than `_FLAT`.
_STEPS = 100
_FLAT = 1e-12
# Of the logit: accuracies of 1 in one corner of a grid must not send it to infinity.
_STEEPEST = 30.0
WEAK_SIZE, STRONG_SIZE = 1, 2
"""Places among the coefficients: what a doubling of either size adds."""


@dataclass(frozen=True)
class SizedPair:
    """A supervisor and a student, with the accuracies that PGR is made of.

    Args:
        weak_size (`float`): Of the supervisor, in any unit.
        strong_size (`float`): Of student and ceiling, in the same unit.
        weak ([`~w2s_rm.metrics.quantities.Quantity`]): Accuracy of the supervisor.
        student ([`~w2s_rm.metrics.quantities.Quantity`]): The same of the student.
        ceiling ([`~w2s_rm.metrics.quantities.Quantity`]): The same of the ceiling.
    """

    weak_size: float
    strong_size: float
    weak: Quantity
    student: Quantity
    ceiling: Quantity

    @property
    def gain(self) -> Quantity:
        """Accuracy of the student minus that of its supervisor."""
        return self.student.minus(self.weak)

    @property
    def gap(self) -> Quantity:
        """Accuracy of the ceiling minus that of the supervisor."""
        return self.ceiling.minus(self.weak)


@dataclass(frozen=True)
class SizeCurve:
    """A fitted curve.

    Args:
        coefficients_C (`ndarray` of shape `(3,)`): Of 1, of the log2 of the supervisor's and of the student's size.
        numbers (`tuple[Quantity, ...]`): What it was fitted to.
        moved_CQ (`ndarray` of shape `(3, Q)`): By how much each of these moves each coefficient.
        logit (`bool`): Whether it is of the logit of a share.
    """

    coefficients_C: Floats
    numbers: tuple[Quantity, ...]
    moved_CQ: Floats
    logit: bool

    def at(self, weak_size: float, strong_size: float, error: float = ERROR) -> Interval:
        """Return what the curve says of a pair, with its interval given that the form is right.

        Args:
            weak_size (`float`): Of the supervisor.
            strong_size (`float`): Of the student.
            error (`float`, *optional*, defaults to `0.05`): The share of intervals that may miss the truth.
        """
        interval = self._sum(_place(weak_size, strong_size)).interval(error)
        # Made on the scale of the logit and carried over end by end: so it stays within [0, 1].
        return Interval(*map(_share, dataclasses.astuple(interval))) if self.logit else interval

    def coefficient(self, number: int) -> Quantity:
        """Return one of the coefficients.

        Args:
            number (`int`): [`WEAK_SIZE`], [`STRONG_SIZE`], or 0 for the constant.
        """
        return self._sum(np.eye(len(self.coefficients_C))[number])

    def _sum(self, weights_C: Floats) -> Quantity:
        moved = weights_C @ self.moved_CQ
        first, *others = (number.times(float(by)) for number, by in zip(self.numbers, moved, strict=True))
        total = first
        for other in others:
            total = total.plus(other)
        # What the numbers add up to is only how the curve moves with them; its value comes from the coefficients.
        return dataclasses.replace(total, value=float(weights_C @ self.coefficients_C))


Fit = Callable[[Sequence[SizedPair]], "SizeCurve | None"]


def accuracy_curve(pairs: Sequence[SizedPair]) -> SizeCurve | None:
    """Fit the student's accuracy; `None` where the pairs do not determine a curve.

    Args:
        pairs (`Sequence[SizedPair]`): At least one; all of the same seeds and examples.
    """
    places_RC = _places(pairs)
    if not _determined(places_RC):
        return None
    shares_R = np.array([pair.student.value for pair in pairs])
    coefficients_C = np.zeros(places_RC.shape[1])
    for _ in range(_STEPS):
        # Newton's method for the likelihood of a binomial: `information_CC` is minus its second derivative, the factor
        # behind it its first.
        fitted_R = _shares(places_RC @ coefficients_C)
        information_CC = (places_RC.T * (fitted_R * (1 - fitted_R))) @ places_RC
        # Least squares and no inverse: where all accuracies are near 0 or 1 the information is all but singular.
        step_C = np.linalg.lstsq(information_CC, places_RC.T @ (shares_R - fitted_R), rcond=None)[0]
        coefficients_C += step_C
        if np.abs(places_RC @ step_C).max() < _FLAT:
            break
    # At the maximum the first derivative is zero whatever the accuracies are: differentiating that gives the
    # coefficients' own derivative by each of them.
    moved_CR = np.linalg.lstsq(information_CC, places_RC.T, rcond=None)[0]
    return SizeCurve(coefficients_C, tuple(pair.student for pair in pairs), moved_CR, logit=True)


def pgr_curve(pairs: Sequence[SizedPair]) -> SizeCurve | None:
    """Fit PGR; `None` where the pairs do not determine a curve.

    Args:
        pairs (`Sequence[SizedPair]`): At least one; all of the same seeds and examples.
    """
    places_RC = _places(pairs)
    gaps_R, gains_R = (np.array([getattr(pair, name).value for pair in pairs]) for name in ("gap", "gain"))
    scaled_RC = places_RC * gaps_R[:, None]
    # A pair without a gap is a row of zeros, which determines nothing.
    if not _determined(places_RC[gaps_R != 0]):
        return None
    inverse_CC = np.linalg.inv(scaled_RC.T @ scaled_RC)
    coefficients_C = inverse_CC @ scaled_RC.T @ gains_R
    # The normal equations say scaledᵀ (gains - scaled b) = 0; a gap moves both factors.
    by_gain_CR = inverse_CC @ scaled_RC.T
    left_R = gains_R - scaled_RC @ coefficients_C
    by_gap_CR = inverse_CC @ (places_RC.T * left_R - scaled_RC.T * (places_RC @ coefficients_C))
    numbers = (*(pair.gain for pair in pairs), *(pair.gap for pair in pairs))
    return SizeCurve(coefficients_C, numbers, np.concatenate([by_gain_CR, by_gap_CR], axis=1), logit=False)


@dataclass(frozen=True)
class LeftOut:
    """What curves that were fitted without a size say of the students that have to do with it.

    Args:
        where (`str`): `inside` where there are smaller and larger sizes; `outside` for the smallest and the largest.
        predicted (`int`): How many students were predicted; one of each pair for either of its sizes.
        error (`float`): Root of the mean squared error of a student's accuracy.
        constant_error (`float`): The same of a prediction that knows no sizes: the mean, of accuracies or of PGR.
    """

    where: Literal["inside", "outside"]
    predicted: int
    error: float
    constant_error: float


def left_out(pairs: Sequence[SizedPair], fit: Fit) -> list[LeftOut]:
    """Leave out each size in turn, as supervisor and as student, and predict its students' accuracies by the others.

    A curve of PGR predicts an accuracy from those of supervisor and ceiling: errors of both kinds of curves compare.

    Args:
        pairs (`Sequence[SizedPair]`): A grid.
        fit (`Callable`): [`accuracy_curve`] or [`pgr_curve`].

    Returns:
        `list[LeftOut]`: Of sizes inside and of those at the ends, as far as the other sizes determine a curve.
    """
    sizes = sorted({size for pair in pairs for size in (pair.weak_size, pair.strong_size)})
    errors: dict[Literal["inside", "outside"], list[tuple[float, float]]] = {"inside": [], "outside": []}
    for size in sizes:
        kept = [pair for pair in pairs if size not in (pair.weak_size, pair.strong_size)]
        curve = fit(kept) if kept else None
        if curve is None:
            continue
        where: Literal["inside", "outside"] = "outside" if size in (sizes[0], sizes[-1]) else "inside"
        for pair in pairs:
            # On either side: the curve must know this size neither as a supervisor nor as a student.
            if size in (pair.weak_size, pair.strong_size):
                by_curve = _accuracy(pair, curve.at(pair.weak_size, pair.strong_size).value, curve.logit)
                by_mean = _accuracy(pair, _constant(kept, curve.logit), curve.logit)
                errors[where].append((by_curve - pair.student.value, by_mean - pair.student.value))
    return [
        LeftOut(where, len(found), *(float(root) for root in np.sqrt(np.mean(np.square(found), axis=0))))
        for where, found in errors.items()
        if found
    ]


def _constant(pairs: Sequence[SizedPair], logit: bool) -> float:
    """The best prediction without sizes."""
    if logit:
        return float(np.mean([pair.student.value for pair in pairs]))
    gains, gaps = (np.array([getattr(pair, name).value for pair in pairs]) for name in ("gain", "gap"))
    return float(gains @ gaps / (gaps @ gaps))


def _accuracy(pair: SizedPair, said: float, logit: bool) -> float:
    return said if logit else pair.weak.value + said * pair.gap.value


def _place(weak_size: float, strong_size: float) -> Floats:
    return np.array([1.0, math.log2(weak_size), math.log2(strong_size)])


def _places(pairs: Sequence[SizedPair]) -> Floats:
    return np.stack([_place(pair.weak_size, pair.strong_size) for pair in pairs])


def _determined(places_RC: Floats) -> bool:
    return bool(np.linalg.matrix_rank(places_RC) == places_RC.shape[1])


def _share(logit: float) -> float:
    return float(_shares(np.array(logit)))


def _shares(logits: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-np.clip(logits, -_STEEPEST, _STEEPEST)))
    return shares
