"""Whether a model is right as often as it says: likelihood, Brier score, calibration error.

The calibration error is that of the top label: how sure a model is of its most probable candidate, against how often
that is right. For two exchangeable candidates the confidence lies in [0.5, 1], and nothing is said twice.

Shape suffixes: B examples, N of them in all, M bins, S seeds, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.choices import Floats, Scores
from w2s_rm.metrics.forecasts import Forecasts, forecasts
from w2s_rm.metrics.resampling import Resampling, ends, over_seeds, sums_each

# As many as in table 1 of Guo et al. 2017.
N_BINS = 15
"""Bins of the calibration error, of equal mass: each has the same number of examples."""
# Probabilities are at most 1 and doubles have 16 digits: four are left to rounding.
_DIGITS = 12


def negative_log_likelihood(scores: Scores, gold: Sequence[int | None]) -> float:
    """Mean of `-log p_gold` in nats, of the softmax of the scores; infinite where a right candidate is excluded.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ.
        gold (`Sequence[int]`): Index of the right candidate of each example.

    Raises:
        DataError: As in [`~w2s_rm.metrics.accuracy.correctness`].
    """
    return float(forecasts(scores, gold).loss_B.mean())


def brier_score(scores: Scores, gold: Sequence[int | None]) -> float:
    """Mean of `sum_k (p_k - [k is gold])^2`, of the softmax of the scores: from 0 to 2.

    Source: Brier 1950 (Monthly Weather Review 78(1), 1-3), equation 2. For two candidates it is twice the form that
    looks at one of them alone.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ.
        gold (`Sequence[int]`): Index of the right candidate of each example.

    Raises:
        DataError: As in [`~w2s_rm.metrics.accuracy.correctness`].
    """
    return float(forecasts(scores, gold).brier_B.mean())


def expected_calibration_error(scores: Scores, gold: Sequence[int | None], *, n_bins: int = N_BINS) -> float:
    """Expected calibration error of the top label, in bins of equal mass.

        ECE = sum_m n_m/N |accuracy_m - confidence_m|

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), equation 3; bins of equal
    mass after Nguyen and O'Connor 2015 (arXiv 1508.05154), section 3.

    It is too high: chance alone moves accuracy and confidence of a bin apart, in a calibrated model too. See
    [`calibration_error`] for how much of it that is.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ.
        gold (`Sequence[int]`): Index of the right candidate of each example.
        n_bins (`int`, *optional*, defaults to `15`): Number of bins.

    Raises:
        DataError: As in [`~w2s_rm.metrics.accuracy.correctness`].
    """
    said = forecasts(scores, gold)
    gaps_M = _binned(said.credit_B - said.confidence_B, equal_mass(said.confidence_B, n_bins), n_bins).sum(axis=0)
    return float(np.abs(gaps_M).sum() / len(said.credit_B))


def equal_mass(values_B: Floats, n_bins: int = N_BINS) -> NDArray[np.int64]:
    """Put values into bins with equally many of them, equal values into one: in the bin of their middle rank.

    Args:
        values_B (`ndarray` of shape `(B,)`): What to order by.
        n_bins (`int`, *optional*, defaults to `15`): Number of bins M; some stay empty where values are few or equal.

    Returns:
        `ndarray` of shape `(B,)`: The bin of each, from 0 for the lowest to M - 1.
    """
    level_B = levels(values_B)
    counts = np.bincount(level_B)
    middles = np.cumsum(counts) - counts / 2
    return (n_bins * middles / len(values_B)).astype(np.int64)[level_B]


def levels(values_B: Floats) -> NDArray[np.int64]:
    """Number the different values, the lowest first.

    Args:
        values_B (`ndarray` of shape `(B,)`): Probabilities. Those that differ by rounding alone, as they do when
            candidates are added up in another order, are equal.
    """
    return np.unique(np.round(values_B, _DIGITS), return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error, mean over seeds.

    Args:
        plain (`float`): The error as it is defined, which is too high.
        noise (`float`): What it would be for a calibrated model that is measured as noisily.
        value (`float`): The error less the bias that the bootstrap finds; at least 0.
        low (`float`): Lower end of the 95 % interval around `value`; 0 where a calibrated model would show as much.
        high (`float`): Upper end.
        confidence_M (`tuple[float, ...]`): Mean confidence in each bin that has examples.
        gap_M (`tuple[float, ...]`): Accuracy minus confidence there, mean over seeds.
        error_M (`tuple[float, ...]`): Standard error of that, from the examples.
    """

    plain: float
    noise: float
    value: float
    low: float
    high: float
    confidence_M: tuple[float, ...]
    gap_M: tuple[float, ...]
    error_M: tuple[float, ...]


def calibration_error(
    said_S: Sequence[Forecasts], drawn_S: Sequence[Resampling], *, n_bins: int = N_BINS
) -> CalibrationError:
    """Measure the expected calibration error, with what of it is noise and an interval that knows of that.

    With `gap_sm` the summed difference of credit and confidence in bin m of seed s, divided by N, `E(gap) = mean_s
    sum_m |gap_sm|` is the error. In resample r it is `E(gap_r)`, which has the noise of the measurement twice, so

        value = 2 E(gap) - mean_r E(gap_r)
        low, high = value + the 2.5th and 97.5th percentile of mean_s sum_m sign(gap_sm) (gap_rsm - gap_sm)
        noise = mean_r E(noise_r)

    where the percentiles are of what the error changes by to first order, and `noise_r` is `gap_r` with the mean gap of
    each bin taken off its examples. `low` is 0 if `E(gap)` is not above the 97.5th percentile of `E(noise_r)`: a
    calibrated model would show as much. Bins stay those of the examples that there are.

    Source: the bootstrap's correction of bias and its intervals, Davison and Hinkley 1997, "Bootstrap Methods and their
    Application", chapters 2 and 5; that the plain error is too high, in Kumar, Liang and Ma 2019, "Verified Uncertainty
    Calibration" (arXiv 1909.10155), and Roelofs et al. 2022 (arXiv 2012.08668).

    Args:
        said_S (`Sequence` of S [`~w2s_rm.metrics.forecasts.Forecasts`]): What the model of each seed says.
        drawn_S (`Sequence` of S [`~w2s_rm.metrics.resampling.Resampling`]): Of the examples of each.
        n_bins (`int`, *optional*, defaults to `15`): Number of bins M.
    """
    binned_S = [_in_bins(said, n_bins) for said in said_S]
    mass_SM, confidence_SM, gap_SM, mean_SM = map(np.stack, zip(*(means for means, _ in binned_S), strict=True))
    sums_SRC = np.stack(sums_each([columns_BC for _, columns_BC in binned_S], drawn_S))
    # The columns of `_in_bins`: shares of bins in each resample, and what is left there when their mean gaps are taken
    # off.
    masses_SRM, noise_SRM = np.split(sums_SRC / [[[len(drawn.group_N)]] for drawn in drawn_S], 2, axis=2)
    # Together they are the summed gaps again: each example's gap is the mean of its bin and what is left of it.
    gap_SRM = masses_SRM * mean_SM[:, None] + noise_SRM
    error_S = np.abs(gap_SM).sum(axis=1)
    plain, noise_R = float(error_S.mean()), np.abs(noise_SRM).sum(axis=2).mean(axis=0)
    value = max(0.0, 2 * plain - float(np.abs(gap_SRM).sum(axis=2).mean()))
    # With the signs of what was observed, |gap| is linear: its resamples have no bias of their own, which an absolute
    # value would add.
    # Not `np.sign`, which is 0 where a gap is: the resamples of that bin would count for nothing.
    signed_RS = (np.where(gap_SM < 0, -1.0, 1.0)[:, None] * gap_SRM).sum(axis=2).T
    low, high = np.clip([value + end - plain for end in ends(over_seeds(error_S, signed_RS))], 0.0, 1.0)
    filled_M = mass_SM.sum(axis=0) > 0
    mass_M = mass_SM.mean(axis=0)[filled_M]
    return CalibrationError(
        plain=plain,
        noise=float(noise_R.mean()),
        value=value,
        low=0.0 if plain <= ends(noise_R)[1] else float(low),
        high=float(high),
        confidence_M=_numbers(confidence_SM.mean(axis=0)[filled_M] / mass_M),
        gap_M=_numbers(gap_SM.mean(axis=0)[filled_M] / mass_M),
        error_M=_numbers(noise_SRM.mean(axis=0).std(axis=0, ddof=1)[filled_M] / mass_M),
    )


def _in_bins(said: Forecasts, n_bins: int) -> tuple[tuple[Floats, Floats, Floats, Floats], Floats]:
    """Of each bin its share of the examples, what it adds to their mean confidence and gap, and the mean gap in it.

    Then the columns to add up, of shape `(B, 2 M)`: whether an example is in the bin, and by how much its gap is there
    above the mean.
    """
    bins_B, gap_B = equal_mass(said.confidence_B, n_bins), said.credit_B - said.confidence_B
    inside_BM, gap_BM, confidence_BM = (
        _binned(values_B, bins_B, n_bins) for values_B in (np.ones_like(gap_B), gap_B, said.confidence_B)
    )
    mass_M, gap_M = inside_BM.mean(axis=0), gap_BM.mean(axis=0)
    mean_M = np.divide(gap_M, mass_M, out=np.zeros_like(gap_M), where=mass_M > 0)
    return (mass_M, confidence_BM.mean(axis=0), gap_M, mean_M), np.hstack([inside_BM, gap_BM - inside_BM * mean_M])


def _binned(values_B: Floats, bins_B: NDArray[np.int64], n_bins: int) -> Floats:
    """Each value in the column of its bin, 0 in the others: a table of shape `(B, M)`."""
    return np.where(bins_B[:, None] == np.arange(n_bins), values_B[:, None], 0.0)


def _numbers(values_M: Floats) -> tuple[float, ...]:
    return tuple(map(float, values_M))
