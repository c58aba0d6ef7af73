"""Performance gap recovered: how much of the gap between weak supervisor and strong ceiling the student closes.

    PGR = (student - weak) / (ceiling - weak)                          (Burns et al. 2023, arXiv 2312.09390)

It is 0 when the student is as good as its supervisor and 1 when it is as good as the ceiling, and it is never clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import Means, half_widths, means_of
from w2s_rm.metrics.pairing import paired_correctness
from w2s_rm.types import Predictions

# Accuracies are multiples of 1/(seeds x examples x ties): a smaller gap is rounding.
_ZERO_GAP = 1e-12
# Ratios are looked at as directions, from minus infinity to infinity, and again between two of them: to 12 digits.
_DIRECTIONS = 201
_REFINEMENTS = 5


@dataclass(frozen=True)
class PGR:
    """PGR with a 95 % interval and the gap it divides by.

    Args:
        value (`float` or `None`): PGR of the mean accuracies; `None` when ceiling and weak are equal.
        low (`float` or `None`): Lower end of the interval; `None` when it is unbounded.
        high (`float` or `None`): Upper end of the interval; `None` when it is unbounded.
        reliable (`bool`): Whether the whole interval of the gap is above zero. If not, `value` and its interval may be
            anything and must not be read as a result.
        gap (`float`): Ceiling minus weak accuracy.
        gap_low (`float`): Lower end of the gap's interval.
        gap_high (`float`): Upper end of the gap's interval.
        n_examples (`int`): Test examples.
        n_seeds (`int`): Seeds.
    """

    value: float | None
    low: float | None
    high: float | None
    reliable: bool
    gap: float
    gap_low: float
    gap_high: float
    n_examples: int
    n_seeds: int


def gap_recovered(weak: float, student: float, ceiling: float) -> float | None:
    """PGR of three accuracies; `None` when ceiling and weak are equal.

    Args:
        weak (`float`): Accuracy of the weak supervisor.
        student (`float`): Accuracy of the strong student.
        ceiling (`float`): Accuracy of the strong ceiling.
    """
    gap = ceiling - weak
    return None if abs(gap) < _ZERO_GAP else (student - weak) / gap


def pgr(weak_SN: Floats, student_SN: Floats, ceiling_SN: Floats, groups: Sequence[str] | None = None) -> PGR:
    """PGR of the mean accuracies, with its interval, paired over examples and seeds.

    The interval holds all ratios r for which `student - weak - r (ceiling - weak)` cannot be told from zero, each by an
    interval of its own (Fieller 1954, Journal of the Royal Statistical Society B 16(2), 175-185). It has ends only
    where the gap can be told from zero; elsewhere no ratio is too large, and no interval with ends would hold the truth
    as often as it says (Gleser and Hwang 1987, Annals of Statistics 15(4), 1351-1362).

    Args:
        weak_SN (`ndarray` of shape `(S, N)`): Credits in [0, 1] of the weak supervisor, a row for each seed.
        student_SN (`ndarray` of shape `(S, N)`): The same of the student.
        ceiling_SN (`ndarray` of shape `(S, N)`): The same of the ceiling.
        groups (`Sequence[str]`, *optional*): The group of each example; without, each is one of its own.

    Raises:
        DataError: Different shapes, no seeds, no examples, or credits outside [0, 1].
    """
    return pgr_of(means_of([weak_SN, student_SN, ceiling_SN], groups))


def pgr_of(means: Means) -> PGR:
    """PGR of mean accuracies whose errors are known; see [`pgr`].

    Args:
        means ([`~w2s_rm.metrics.intervals.Means`]): Of weak supervisor, student and ceiling.
    """
    gap = means.combined([-1, 0, 1]).interval()
    # A ratio with a denominator that may be zero may be anything: Fieller's set then has no ends.
    bounded = gap.low > _ZERO_GAP or gap.high < -_ZERO_GAP
    low, high = _ratio_interval(means) if bounded else (None, None)
    return PGR(
        value=gap_recovered(*map(float, means.values_M)),
        low=low,
        high=high,
        reliable=gap.low > _ZERO_GAP,
        gap=gap.value,
        gap_low=gap.low,
        gap_high=gap.high,
        n_examples=means.n_examples,
        n_seeds=means.n_seeds,
    )


def _ratio_interval(means: Means) -> tuple[float, float]:
    """The least and the greatest ratio that cannot be refused; there are such where the gap is not zero."""
    weak, student, ceiling = means.values_M
    # A ratio is the slope of a line; as an angle, infinity is a place like others, and a search can end there.
    value, loose = float(np.arctan((student - weak) / (ceiling - weak))), _loose(means)
    # The estimate itself is never refused (what it is compared with is 0), and a vertical line is refused where the gap
    # is not zero: an end lies between them.
    return _end(means, value, -np.pi / 2, loose), _end(means, value, np.pi / 2, loose)


def _loose(means: Means) -> float:
    """How far the student may be from weak model or ceiling where no drawn example tells it from that; else 0.

    There the variance is nothing for one ratio alone, 0 or 1, and next to it that of the gap: all others would be
    refused.
    """
    pairs = (means.combined(weights) for weights in ([-1, 1, 0], [0, 1, -1]))
    return max((pair.half_width() for pair in pairs if pair.alike), default=0.0)


def _end(means: Means, kept: float, refused: float, loose: float) -> float:
    """The last ratio that is kept on the way to a direction that is refused."""
    for _ in range(_REFINEMENTS):
        # No formula as Fieller's own, for which one t must hold: here it depends on how the variance is made up, and so
        # on the ratio.
        angles = np.linspace(kept, refused, _DIRECTIONS)
        (inside,) = np.nonzero(~_refused(means, angles[1:-1], loose))
        # The outermost one that is kept: where the set has holes, the interval covers them. `inside` counts from the
        # second angle.
        last = inside[-1] + 1 if len(inside) else 0
        kept, refused = angles[last], angles[last + 1]
    return float(np.tan(kept))


def _refused(means: Means, angles_A: Floats, loose: float) -> NDArray[np.bool_]:
    """Whether `cos(angle) (student - weak) - sin(angle) (ceiling - weak)` is told from zero."""
    cosines, sines = np.cos(angles_A), np.sin(angles_A)
    # Weak, student and ceiling, multiplied out. Times the cosine instead of with the ratio, so that no number is
    # infinite.
    weights_AM = np.stack([sines - cosines, cosines, -sines], axis=1)
    seeds_A, examples_A = (
        np.einsum("am,mk,ak->a", weights_AM, variances_MM, weights_AM)
        for variances_MM in (means.seeds_MM, means.examples_MM)
    )
    variances, reaches_A = (np.maximum(0, seeds_A), np.maximum(0, examples_A)), means.reaches(weights_AM)
    widths_A = half_widths(*variances, means.n_seeds, means.n_drawn, reaches=reaches_A)
    # The student's weight is the cosine, which is not below zero.
    refused: NDArray[np.bool_] = np.abs(weights_AM @ means.values_M) > widths_A + loose * cosines
    return refused


def pgr_from_predictions(
    weak: Sequence[Predictions],
    student: Sequence[Predictions],
    ceiling: Sequence[Predictions],
) -> PGR:
    """PGR from the scores of the three models, one `Predictions` for each seed, seeds in the same order.

    Args:
        weak (`Sequence[Predictions]`): Predictions of the weak supervisor.
        student (`Sequence[Predictions]`): Predictions of the student.
        ceiling (`Sequence[Predictions]`): Predictions of the ceiling.

    Raises:
        DataError: Unequal seeds, different test ids, missing gold, empty input, NaN scores; names the first few ids.
    """
    credits = paired_correctness({"weak": weak, "student": student, "ceiling": ceiling})
    return pgr(credits["weak"], credits["student"], credits["ceiling"])
