"""How right a model is where it is sure of itself: accuracy on the share of examples that it answers.

Shape suffixes: B examples, M blocks, S seeds, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from w2s_rm.metrics.calibration import equal_mass, levels
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.forecasts import Forecasts
from w2s_rm.metrics.intervals import Interval
from w2s_rm.metrics.resampling import Resampling, interval, least_groups, of_share, sums_each

# Of 5 % of the examples each. Of a resample only sums are made, so that its examples cannot be put in an order of their
# own.
_BLOCKS = 20


def accuracy_answered(confidence_B: Floats, credit_B: Floats, shares: Sequence[float]) -> Floats:
    """Accuracy on the most confident share of the examples.

    Of examples with the same confidence, some of which are answered, all count in part: the accuracy is the expectation
    when chance decides among them. A part of an example counts in the same way.

    Source: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification" (Journal of Machine
    Learning Research 11, 1605-1641), the curve of risk over coverage; here accuracy, one minus risk.

    Args:
        confidence_B (`ndarray` of shape `(B,)`): What to order by.
        credit_B (`ndarray` of shape `(B,)`): Credit in [0, 1].
        shares (`Sequence[float]`): Shares that are answered, each in (0, 1].

    Returns:
        `ndarray` with an accuracy for each share.
    """
    # Negated: the surest have the lowest level, so that sums from the left are of those who are answered first.
    level_B = levels(-confidence_B)
    answered = np.concatenate([[0.0], np.cumsum(np.bincount(level_B))])
    right = np.concatenate([[0.0], np.cumsum(np.bincount(level_B, weights=credit_B))])
    wanted = np.asarray(shares) * len(credit_B)
    # Between two levels of confidence right answers grow in proportion: that is what chance among equals gives on
    # average.
    return np.interp(wanted, answered, right) / wanted


def answered_interval(said_S: Sequence[Forecasts], drawn_S: Sequence[Resampling], share: float) -> Interval:
    """Accuracy on the most confident share, mean over seeds, with its 95 % interval.

    Resamples are answered in blocks of five per cent of the examples, and where the share ends within one, all of it
    counts in part.

    Args:
        said_S (`Sequence` of S [`~w2s_rm.metrics.forecasts.Forecasts`]): What the model of each seed says.
        drawn_S (`Sequence` of S [`~w2s_rm.metrics.resampling.Resampling`]): Of the examples of each.
        share (`float`): Share that is answered, in (0, 1].
    """
    observed_S = np.array([accuracy_answered(said.confidence_B, said.credit_B, [share])[0] for said in said_S])
    blocks_S = [_in_blocks(said) for said in said_S]
    resampled_RS = np.stack([_accuracies(sums_RC, share) for sums_RC in sums_each(blocks_S, drawn_S)], axis=1)
    # Only so many groups are answered.
    return of_share(interval(observed_S, resampled_RS, (0.0, 1.0)), math.ceil(share * least_groups(drawn_S)))


def _in_blocks(said: Forecasts) -> Floats:
    """Whether each example is in a block, the surest first, and its credit there: of shape `(B, 2 M)`."""
    inside_BM = (equal_mass(-said.confidence_B, _BLOCKS)[:, None] == np.arange(_BLOCKS)).astype(np.float64)
    return np.hstack([inside_BM, inside_BM * said.credit_B[:, None]])


def _accuracies(sums_RC: Floats, share: float) -> Floats:
    """The accuracy in each resample, of shape `(R,)`."""
    counts_RM, right_RM = sums_RC[:, :_BLOCKS], sums_RC[:, _BLOCKS:]
    wanted_R = share * counts_RM.sum(axis=1)
    before_RM = np.cumsum(counts_RM, axis=1) - counts_RM
    # How much of each block is answered: all, none, or what is still wanted.
    taken_RM = np.clip(wanted_R[:, None] - before_RM, 0.0, counts_RM)
    parts_RM = np.divide(taken_RM, counts_RM, out=np.zeros_like(taken_RM), where=counts_RM > 0)
    return (parts_RM * right_RM).sum(axis=1) / wanted_R
