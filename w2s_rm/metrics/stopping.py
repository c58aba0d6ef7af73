"""Where a training would have been stopped: the first among the best of several models.

Shape suffixes: B examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.accuracy import correctness
from w2s_rm.metrics.choices import Floats, Scores, choices

# Shares of examples that differ by less differ by the order in which they were added up.
_EQUAL = 1e-9


def earliest_best(values: Sequence[float]) -> int:
    """Return the place of the highest value, of the first one among equals.

    Args:
        values (`Sequence[float]`): What each model reached, in the order of training.

    Raises:
        DataError: There are none.
    """
    if not values:
        raise DataError("nothing to choose from: no model was evaluated")
    return next(place for place, value in enumerate(values) if value >= max(values) - _EQUAL)


def stopping_credits(
    scores: Scores, gold: Sequence[int | None], labels: Scores | None = None, ids: Sequence[str] | None = None
) -> Floats:
    """What a model earns on each held-out example by the rule that stops its training: agreement, or truth.

    The choice of the model is compared with that of the labels, or with the right one; a tie at the top, of either,
    counts as its chance. Not how sure the model is: losses that sharpen what the supervisor says would be stopped as
    they begin to.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example.
        gold (`Sequence[int]`): Index of the right candidate of each example; without labels, those that have none are
            left out.
        labels (`Sequence[Sequence[float]]`, *optional*): What the supervisor says of each example.
        ids (`Sequence[str]`, *optional*): Names for error messages.

    Returns:
        `ndarray` of shape `(B,)`: Credits in [0, 1]; may be empty without labels.

    Raises:
        DataError: NaN scores, or labels of other candidates.
    """
    if labels is not None:
        said = choices(labels, ids)
        chosen = choices(scores, ids)
        if not np.array_equal(said.lengths_B, chosen.lengths_B):
            raise DataError("labels have other numbers of candidates than the scores; label these examples again")
        return chosen.same_as(said)
    known = [row for row, index in enumerate(gold) if index is not None]
    if not known:
        return np.zeros(0)
    return correctness([scores[row] for row in known], [gold[row] for row in known])
