"""How well a score tells some examples from the others: the area under the ROC curve, with its error.

Shape suffixes: S seeds, N examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.quantities import Quantity, mean_of


def area_under_roc(scores_SN: Floats, positive_SN: NDArray[np.bool_], groups: Sequence[str]) -> Quantity:
    """Return the mean over seeds of the chance that a positive example has a higher score than another, ties as half.

    To first order an example moves it by how it compares with all of the other kind (DeLong, DeLong and Clarke-Pearson
    1988, Biometrics 44(3), 837-845), so it is a mean over examples like any other.

    Args:
        scores_SN (`ndarray` of shape `(S, N)`): Scores, a row for each seed.
        positive_SN (`ndarray` of shape `(S, N)`): Which examples are to have the higher ones.
        groups (`Sequence[str]`): The group of each example; of one that is alone, its id.

    Raises:
        DataError: All examples of a seed are of one kind, or what [`~w2s_rm.metrics.quantities.mean_of`] refuses.
    """
    if (positive_SN.all(axis=1) | ~positive_SN.any(axis=1)).any():
        raise DataError("an area under the ROC curve needs examples of both kinds; with one of the seeds there is one")
    values_SN = np.empty(scores_SN.shape)
    for values_N, scores_N, positive_N in zip(values_SN, scores_SN, positive_SN, strict=True):
        above, below = scores_N[positive_N], scores_N[~positive_N]
        wins = _share_below(above, below)
        area = float(wins.mean())
        # The area plus what an example moves it by: how it compares, times N over the number of its kind, of which few
        # move it more. Their mean is the area again.
        values_N[positive_N] = area + (wins - area) * len(scores_N) / len(above)
        values_N[~positive_N] = area + (1 - _share_below(below, above) - area) * len(scores_N) / len(below)
    # One more of the rarer kind moves the area by one over their number.
    rarer_S = np.minimum(positive_SN.sum(axis=1), (~positive_SN).sum(axis=1))
    return mean_of(values_SN, groups, reach=len(groups) / float(rarer_S.min()))


def _share_below(scores: Floats, others: Floats) -> Floats:
    """Of each score, the share of others that are lower, ties as half."""
    # Sorted once and searched: a table of all pairs has as many cells as one kind times the other.
    ordered = np.sort(others)
    lower, up_to = (np.searchsorted(ordered, scores, side=side) for side in ("left", "right"))
    return (lower + up_to) / (2 * len(others))
