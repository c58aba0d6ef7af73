"""Accuracy: how often the best-scored candidate is the right one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats, Scores, choices, refuse


def correctness(scores: Scores, gold: Sequence[int | None], ids: Sequence[str] | None = None) -> Floats:
    """Credit of each example: 1 if the right candidate alone is on top, `1/t` if it is one of `t` tied there, else 0.

    The credit is the expectation under breaking ties by chance, so a model that scores everything alike is at chance
    level whatever the order of the candidates.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ between examples.
        gold (`Sequence[int]`): Index of the right candidate of each example.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.

    Returns:
        `ndarray` of shape `(B,)`: Credits in [0, 1].

    Raises:
        DataError: Empty input, unequal lengths, a NaN score, or gold that is missing or no index of a candidate.
    """
    if len(scores) != len(gold):
        raise DataError(f"{len(scores)} rows of scores but {len(gold)} gold labels; give one label for each row")
    chosen = choices(scores, ids)
    # Before the array of whole numbers, which has no place for `None`.
    refuse(np.array([index is None for index in gold]), "has no gold label; accuracy needs ground truth", ids)
    gold_B = np.array(gold, dtype=np.int64)
    outside_B = (gold_B < 0) | (gold_B >= chosen.lengths_B)
    refuse(outside_B, "has a gold label that is not the index of one of its candidates", ids)
    return chosen.of_candidate(gold_B)


def accuracy(scores: Scores, gold: Sequence[int | None], ids: Sequence[str] | None = None) -> float:
    """Mean of [`correctness`] over all examples (never a mean of batch means).

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ between examples.
        gold (`Sequence[int]`): Index of the right candidate of each example.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.

    Raises:
        DataError: As in [`correctness`].
    """
    return float(correctness(scores, gold, ids).mean())
