"""Performance gap recovered: how much of the gap between weak supervisor and strong ceiling the student closes.

    PGR = (student - weak) / (ceiling - weak)                          (Burns et al. 2023, arXiv 2312.09390)

It is 0 when the student is as good as its supervisor and 1 when it is as good as the ceiling, and it is never clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_rm.metrics.bootstrap import (
    CONFIDENCE,
    N_RESAMPLES,
    bootstrap_means,
    difference_interval,
    percentile_interval,
)
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.pairing import paired_correctness
from w2s_rm.types import Predictions

# Accuracies are multiples of 1/(seeds x examples x ties): a smaller gap is rounding.
_ZERO_GAP = 1e-12


@dataclass(frozen=True)
class PGR:
    """PGR with a 95 % interval and the gap it divides by.

    Args:
        value (`float` or `None`): PGR of the mean accuracies; `None` when ceiling and weak are equal.
        low (`float` or `None`): Lower end of the interval; `None` when it is unbounded below.
        high (`float` or `None`): Upper end of the interval; `None` when it is unbounded above.
        reliable (`bool`): Whether the whole interval of the gap is above zero. If not, `value` and its interval may be
            anything and must not be read as a result.
        gap (`float`): Ceiling minus weak accuracy.
        gap_low (`float`): Lower end of the gap's interval.
        gap_high (`float`): Upper end of the gap's interval.
        n_examples (`int`): Test examples.
        n_seeds (`int`): Seeds.
        n_resamples (`int`): Bootstrap resamples.
        n_undefined (`int`): Resamples with a gap of exactly zero, in which PGR does not exist.
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
    n_resamples: int
    n_undefined: int


def gap_recovered(weak: float, student: float, ceiling: float) -> float | None:
    """PGR of three accuracies; `None` when ceiling and weak are equal.

    Args:
        weak (`float`): Accuracy of the weak supervisor.
        student (`float`): Accuracy of the strong student.
        ceiling (`float`): Accuracy of the strong ceiling.
    """
    gap = ceiling - weak
    return None if abs(gap) < _ZERO_GAP else (student - weak) / gap


def pgr(
    weak_SN: Floats,
    student_SN: Floats,
    ceiling_SN: Floats,
    *,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> PGR:
    """PGR of the mean accuracies, with a percentile interval from a paired bootstrap over examples and seeds.

    Every resample uses the same examples and seeds for the three models. A resample whose gap is exactly zero has no
    PGR; it counts as minus infinity for the lower end and as plus infinity for the upper one, so that leaving it out
    cannot make the interval look narrower. An end that comes out infinite is `None`.

    Args:
        weak_SN (`ndarray` of shape `(S, N)`): Credits in [0, 1] of the weak supervisor, a row for each seed.
        student_SN (`ndarray` of shape `(S, N)`): The same of the student.
        ceiling_SN (`ndarray` of shape `(S, N)`): The same of the ceiling.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples; the generator's seed is fixed.
        confidence (`float`, *optional*, defaults to `0.95`): Share of the resamples inside the interval.

    Raises:
        DataError: Different shapes, no seeds, no examples, or credits outside [0, 1].
    """
    weak_R, student_R, ceiling_R = bootstrap_means([weak_SN, student_SN, ceiling_SN], n_resamples=n_resamples).T
    gap_R = ceiling_R - weak_R
    undefined_R = np.abs(gap_R) < _ZERO_GAP
    ratio_R = (student_R - weak_R) / np.where(undefined_R, 1.0, gap_R)
    low = percentile_interval(np.where(undefined_R, -np.inf, ratio_R), confidence)[0]
    high = percentile_interval(np.where(undefined_R, np.inf, ratio_R), confidence)[1]
    # Drawn on its own, so that all students between one weak model and one ceiling get the same gap.
    gap = difference_interval(ceiling_SN, weak_SN, n_resamples=n_resamples, confidence=confidence)
    return PGR(
        value=gap_recovered(float(weak_SN.mean()), float(student_SN.mean()), float(ceiling_SN.mean())),
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
        reliable=gap.low > _ZERO_GAP,
        gap=gap.value,
        gap_low=gap.low,
        gap_high=gap.high,
        n_examples=weak_SN.shape[1],
        n_seeds=weak_SN.shape[0],
        n_resamples=n_resamples,
        n_undefined=int(undefined_R.sum()),
    )


def pgr_from_predictions(
    weak: Sequence[Predictions],
    student: Sequence[Predictions],
    ceiling: Sequence[Predictions],
    *,
    n_resamples: int = N_RESAMPLES,
) -> PGR:
    """PGR from the scores of the three models, one `Predictions` for each seed, seeds in the same order.

    Args:
        weak (`Sequence[Predictions]`): Predictions of the weak supervisor.
        student (`Sequence[Predictions]`): Predictions of the student.
        ceiling (`Sequence[Predictions]`): Predictions of the ceiling.
        n_resamples (`int`, *optional*, defaults to `10000`): Bootstrap resamples.

    Raises:
        DataError: Unequal seeds, different test ids, missing gold, empty input, NaN scores; names the first few ids.
    """
    credits = paired_correctness({"weak": weak, "student": student, "ceiling": ceiling})
    return pgr(credits["weak"], credits["student"], credits["ceiling"], n_resamples=n_resamples)
