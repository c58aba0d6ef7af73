"""Several models of one training side by side on held-out labels: how well each fits them, and what a split can show.

Shape suffixes: B examples, K candidates, padded to the most of any example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats

# By `visible_difference` so many show differences of 8.8 and of 2.8 points.
LEAST, FEW = 50, 500
"""Validation examples below which nothing is chosen by them, and below which a reader is warned."""
DIFFERING = 0.1
"""Share of examples on which two trials are supposed to choose differently, before anything is trained."""
# Two-sided, 95 %, of the normal distribution.
_Z = 1.959963984540054
# Far above any scale at which labels are still fitted better: there only trials that fit all of them arrive.
_STEEPEST = 2.0**30
_HALVINGS = 100


def fitted_losses(scores: Sequence[Sequence[float]], targets: Sequence[Sequence[float]]) -> Floats:
    """Cross-entropy of labels with the softmax of scores, at the temperature at which its mean is lowest.

        L_b = log sum_k exp(a s_bk) - a sum_k t_bk s_bk,    a >= 0 where mean_b L_b is lowest

    The mean is convex in `a`; where its derivative `mean_b (sum_k softmax(a s_b)_k s_bk - sum_k t_bk s_bk)` is not
    below 0 at `a = 0`, the scores say nothing of the labels, and `L_b` is the logarithm of the number of candidates.

    Source: temperature scaling, Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599),
    section 4.2; here `a` is one over their temperature, and labels may be soft.

    Args:
        scores (`Sequence[Sequence[float]]`): Of the candidates of each example, finite.
        targets (`Sequence[Sequence[float]]`): A distribution over them for each.

    Returns:
        `ndarray` of shape `(B,)`: In nats.

    Raises:
        DataError: No examples, or another number of labels, or of candidates, than of scores.
    """
    if not scores or [len(row) for row in scores] != [len(row) for row in targets]:
        raise DataError(f"{len(scores)} examples with scores, {len(targets)} with labels: they must have the same ones")
    mask_BK, scores_BK, targets_BK = _padded(scores, targets)
    # Only differences within an example count; the largest is 0 for the exponentials.
    scores_BK = np.where(mask_BK, scores_BK - scores_BK.max(axis=1, keepdims=True), 0.0)
    # Scores of size 1, so that the search below begins near the best temperature whatever units they have.
    scale = float(np.sqrt(np.square(scores_BK).mean())) or 1.0
    scores_BK = scores_BK / scale
    said_B = (targets_BK * scores_BK).sum(axis=1)

    def slope(steepness: float) -> float:
        weights_BK = np.where(mask_BK, np.exp(steepness * scores_BK), 0.0)
        expected_B = (weights_BK * scores_BK).sum(axis=1) / weights_BK.sum(axis=1)
        return float((expected_B - said_B).mean())

    steepness = _root(slope)
    sums_B = np.where(mask_BK, np.exp(steepness * scores_BK), 0.0).sum(axis=1)
    losses_B: Floats = np.log(sums_B) - steepness * said_B
    return losses_B


def _padded(
    scores: Sequence[Sequence[float]], targets: Sequence[Sequence[float]]
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Floats, Floats]:
    """Which candidates are real, their scores (the lowest number there is at others), and their labels."""
    lengths = np.array([len(row) for row in scores])
    mask_BK = np.arange(lengths.max())[None, :] < lengths[:, None]
    scores_BK = np.full(mask_BK.shape, np.finfo(np.float64).min)
    targets_BK = np.zeros(mask_BK.shape)
    scores_BK[mask_BK] = np.concatenate([np.asarray(row, dtype=np.float64) for row in scores])
    targets_BK[mask_BK] = np.concatenate([np.asarray(row, dtype=np.float64) for row in targets])
    return mask_BK, scores_BK, targets_BK


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function crosses 0, from 0 to the steepest that is looked at."""
    if rising(0.0) >= 0:
        return 0.0
    low, high = 0.0, 1.0
    while rising(high) < 0:
        low, high = high, 2 * high
        if high > _STEEPEST:
            return _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high


def paired_half_width(values_B: Floats, others_B: Floats, groups: Sequence[str] | None = None) -> float:
    """Return the half-width of the 95 % interval of a mean paired difference, from the normal distribution.

    Examples of a group are no draws of their own: what varies are the sums of a group's differences less the mean, as
    in [`~w2s_rm.metrics.intervals`].

    Args:
        values_B (`ndarray` of shape `(B,)`): Of one trial, an example each.
        others_B (`ndarray` of shape `(B,)`): Of another, on the same examples.
        groups (`Sequence[str]`, *optional*): The group of each example; without, each is one of its own.

    Raises:
        DataError: Fewer than two examples.
    """
    differences_B = values_B - others_B
    if len(differences_B) < 2:
        raise DataError(f"{len(differences_B)} examples: trials are told apart by two or more; take a larger split")
    _, group_B = np.unique(np.arange(len(differences_B)) if groups is None else groups, return_inverse=True)
    sums_G = np.bincount(group_B, weights=differences_B - differences_B.mean())
    if len(sums_G) < 2:
        # One draw does not say how far another would be: as far as an example may be.
        return float(np.abs(differences_B).max())
    variance = len(sums_G) / (len(sums_G) - 1) * float(sums_G @ sums_G) / len(differences_B) ** 2
    return _Z * math.sqrt(variance)


def visible_difference(n: int, differing: float = DIFFERING) -> float:
    """Return how small a difference in accuracy a split can show: the half-width of a 95 % interval.

    Two trials that choose differently on a share `d` of `n` examples, and are as good as each other, differ by -1, 0 or
    1 an example, with variance `d`: the half-width is `1.96 sqrt(d / n)`.

    Args:
        n (`int`): Examples, 1 or more.
        differing (`float`, *optional*, defaults to `0.1`): The share `d`, in [0, 1].
    """
    return _Z * math.sqrt(differing / n)
