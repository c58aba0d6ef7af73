"""Exact match: how often the text that a model writes is the right candidate.

Unlike accuracy, which asks for the best-*scored* candidate, nothing keeps a model that writes freely among the
candidates. Burns et al. 2023 (arXiv 2312.09390) evaluate models that generate their answer in this way, at
temperature 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats, refuse

NO_CANDIDATE = -1
"""Stands in `greedy` for a text that is none of the example's candidates."""


def exact_matches(greedy: Sequence[int], gold: Sequence[int | None], ids: Sequence[str] | None = None) -> Floats:
    """Credit of each example: 1 if the written candidate is the right one, else 0.

    Args:
        greedy (`Sequence[int]`): Index of the candidate that the model wrote, -1 for none of them.
        gold (`Sequence[int]`): Index of the right candidate of each example.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.

    Returns:
        `ndarray` of shape `(B,)`: 0 or 1.

    Raises:
        DataError: Empty input, unequal lengths, missing gold or one below 0, or an index below -1.
    """
    if len(greedy) != len(gold):
        raise DataError(f"{len(greedy)} greedy answers but {len(gold)} gold labels; give one label for each answer")
    refuse(np.array([index is None for index in gold]), "has no gold label; exact match needs ground truth", ids)
    gold_B = np.array(gold, dtype=np.int64)
    refuse(gold_B < 0, "has a gold label that is not one of its candidates", ids)
    return (_indices(greedy, ids) == gold_B).astype(np.float64)


def no_candidate_share(greedy: Sequence[int], ids: Sequence[str] | None = None) -> float:
    """Share of the examples for which the model wrote none of the candidates.

    Args:
        greedy (`Sequence[int]`): Index of the candidate that the model wrote, -1 for none of them.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.

    Raises:
        DataError: Empty input, or an index below -1.
    """
    return float((_indices(greedy, ids) == NO_CANDIDATE).mean())


def _indices(greedy: Sequence[int], ids: Sequence[str] | None) -> np.ndarray:
    if not len(greedy):
        raise DataError("no greedy answers: the list is empty; check that the evaluated split has examples")
    greedy_B = np.array(greedy, dtype=np.int64)
    # From below alone: how many candidates an example has is not known here; `pairing.py`, which knows, looks from
    # above.
    refuse(greedy_B < NO_CANDIDATE, "has a greedy answer that is neither the index of a candidate nor -1", ids)
    return greedy_B
