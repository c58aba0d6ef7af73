"""Scores as probabilities of the candidates, for ragged scores with ground truth.

Shape suffixes: B examples, F candidates of all examples in one flat row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.accuracy import correctness
from w2s_rm.metrics.choices import Floats, Scores, choices, refuse


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What a model says of examples whose right candidate is known. All logarithms are natural.

    Args:
        logs_F (`ndarray` of shape `(F,)`): Log-probability of each candidate; minus infinity for one that is excluded.
        starts_B (`ndarray` of shape `(B,)`): Where each example begins in `logs_F`.
        lengths_B (`ndarray` of shape `(B,)`): Number of candidates of each example.
        gold_B (`ndarray` of shape `(B,)`): Index of the right candidate of each example.
        credit_B (`ndarray` of shape `(B,)`): What [`~w2s_rm.metrics.accuracy.correctness`] gives: 1 where the most
            probable candidate is right, a share where several tie.
        tied_B (`ndarray` of shape `(B,)`): Whether several candidates have the highest score.
    """

    logs_F: Floats
    starts_B: NDArray[np.int64]
    lengths_B: NDArray[np.int64]
    gold_B: NDArray[np.int64]
    credit_B: Floats
    tied_B: NDArray[np.bool_]

    @cached_property
    def confidence_B(self) -> Floats:
        """Probability, of shape `(B,)`, of the most probable candidate: from 1/K to 1, so from 0.5 for two."""
        return np.exp(np.maximum.reduceat(self.logs_F, self.starts_B))

    @cached_property
    def loss_B(self) -> Floats:
        """Negative log-likelihood, of shape `(B,)`, in nats: `-log p_gold`; infinite where that has probability 0."""
        return -self.logs_F[self.starts_B + self.gold_B]

    @cached_property
    def brier_B(self) -> Floats:
        """Brier score, of shape `(B,)`: `sum_k (p_k - [k is gold])^2`, from 0 to 2; for two candidates `2 (1 - p)^2`.

        Source: Brier 1950 (Monthly Weather Review 78(1), 1-3), equation 2.
        """
        # sum_k (p_k - [k is gold])² = sum_k p_k² - 2 p_gold + 1.
        squares_B = np.add.reduceat(np.exp(2 * self.logs_F), self.starts_B)
        # The rounding of a sum of squares may leave it below what it is made of.
        return np.maximum(squares_B - 2 * np.exp(-self.loss_B) + 1, 0.0)

    def tempered(self, temperature_B: float | Floats) -> Forecasts:
        """Divide log-probabilities by a temperature and normalise them again; the most probable candidate stays.

        Args:
            temperature_B (`float` or `ndarray` of shape `(B,)`): Above 0, for all examples or for each.
        """
        each_B = np.broadcast_to(np.asarray(temperature_B, dtype=np.float64), self.starts_B.shape)
        return replace(self, logs_F=_normalised(self.logs_F / np.repeat(each_B, self.lengths_B), self))


def forecasts(
    scores: Scores, gold: Sequence[int | None], ids: Sequence[str] | None = None, *, probabilities: bool = False
) -> Forecasts:
    """Take the softmax of scores for what a model says: the distribution that it writes down as a weak label.

    Scores of which none is above minus infinity are alike, as they are for accuracy.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ between examples.
        gold (`Sequence[int]`): Index of the right candidate of each example.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.
        probabilities (`bool`, *optional*, defaults to `False`): Whether the scores are probabilities themselves, as
            those of labels are; they are normalised.

    Raises:
        DataError: As in [`~w2s_rm.metrics.accuracy.correctness`]; a negative probability, or none above 0.
    """
    credit_B, chosen = correctness(scores, gold, ids), choices(scores, ids)
    lengths_B, starts_B = chosen.lengths_B, chosen.starts_B
    scores_F = np.fromiter(chain.from_iterable(scores), dtype=np.float64, count=int(lengths_B.sum()))
    if probabilities:
        wrong_B = (np.minimum.reduceat(scores_F, starts_B) < 0) | (np.maximum.reduceat(scores_F, starts_B) <= 0)
        refuse(wrong_B, "has no probabilities: they must be at least 0, and one of them above it", ids)
        # The logarithm of 0 is meant: such a candidate is excluded.
        with np.errstate(divide="ignore"):
            scores_F = np.log(scores_F)
    made = Forecasts(scores_F, starts_B, lengths_B, np.array(gold, dtype=np.int64), credit_B, chosen.tied_B)
    return replace(made, logs_F=_normalised(scores_F, made))


def _normalised(values_F: Floats, rows: Forecasts) -> Floats:
    """Log-softmax within each example."""
    highest_F = np.repeat(np.maximum.reduceat(values_F, rows.starts_B), rows.lengths_B)
    # Where all are minus infinity they are alike; their difference would be NaN.
    shifted_F = np.subtract(values_F, highest_F, out=np.zeros_like(values_F), where=values_F != highest_F)
    totals_B = np.add.reduceat(np.exp(shifted_F), rows.starts_B)
    return shifted_F - np.repeat(np.log(totals_B), rows.lengths_B)
