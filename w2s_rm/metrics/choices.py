"""Which candidate a model chooses, for ragged scores, with ties shared.

Shape suffixes: B examples, F candidates of all examples in one flat row, S seeds, N examples in tables of credits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import DataError, join_problems

Floats = NDArray[np.float64]
Scores = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Choices:
    """The probability with which a model chooses each candidate when ties at the top are broken by chance.

    Args:
        shares_F (`ndarray` of shape `(F,)`): `1/t` at each of the `t` candidates tied at the top, 0 elsewhere.
        starts_B (`ndarray` of shape `(B,)`): Where each example begins in `shares_F`.
        lengths_B (`ndarray` of shape `(B,)`): Number of candidates of each example.
    """

    shares_F: Floats
    starts_B: NDArray[np.int64]
    lengths_B: NDArray[np.int64]

    @property
    def tied_B(self) -> NDArray[np.bool_]:
        """Whether several candidates, of shape `(B,)`, share the top."""
        return np.maximum.reduceat(self.shares_F, self.starts_B) < 1

    def of_candidate(self, index_B: NDArray[np.int64]) -> Floats:
        """Return the probability, of shape `(B,)`, that the candidate at `index_B` is chosen."""
        return self.shares_F[self.starts_B + index_B]

    def same_as(self, other: Choices) -> Floats:
        """Return the probability, of shape `(B,)`, that both choose the same candidate, ties broken independently."""
        return np.add.reduceat(self.shares_F * other.shares_F, self.starts_B)


def choices(scores: Scores, ids: Sequence[str] | None = None) -> Choices:
    """Find the top candidates of each example.

    Args:
        scores (`Sequence[Sequence[float]]`): K scores for each example; K may differ. Minus infinity is allowed.
        ids (`Sequence[str]`, *optional*): Names for error messages; without them, the row number is given.

    Raises:
        DataError: No examples, an example without candidates, or a NaN score; names the ids.
    """
    if not len(scores):
        raise DataError("no predictions: the list of scores is empty; check that the evaluated split has examples")
    lengths_B = np.array([len(row) for row in scores], dtype=np.int64)
    # First, because `reduceat` takes a neighbour's value for an example that has none.
    refuse(lengths_B == 0, "has no scores; every example needs at least one candidate", ids)
    # One flat row for all examples, for K may differ: `reduceat` goes from the start of each to that of the next.
    starts_B = np.concatenate([[0], np.cumsum(lengths_B)[:-1]])
    scores_F = np.fromiter(chain.from_iterable(scores), dtype=np.float64, count=int(lengths_B.sum()))
    nan_B = np.logical_or.reduceat(np.isnan(scores_F), starts_B)
    refuse(nan_B, "has a NaN score; the model that wrote it diverged", ids)
    # Exactly: candidates of the same tokens have the same score to the last bit, and a tolerance would tie others too.
    top_F = scores_F == np.repeat(np.maximum.reduceat(scores_F, starts_B), lengths_B)
    ties_B = np.add.reduceat(top_F.astype(np.float64), starts_B)
    return Choices(top_F / np.repeat(ties_B, lengths_B), starts_B, lengths_B)


def refuse(bad_B: NDArray[np.bool_], problem: str, ids: Sequence[str] | None) -> None:
    """Raise a `DataError` that names the examples where `bad_B` is true.

    Args:
        bad_B (`ndarray` of shape `(B,)`): Which examples are wrong.
        problem (`str`): What is wrong with each, and what to do.
        ids (`Sequence[str]`, *optional*): Names of the examples; without them, the row number is given.

    Raises:
        DataError: At least one example is wrong.
    """
    if not bad_B.any():
        return
    places = [f"example {ids[row]!r}" if ids is not None else f"row {row}" for row in np.flatnonzero(bad_B).tolist()]
    heading = f"{len(places)} of {len(bad_B)} predictions cannot be used:"
    raise DataError(join_problems(heading, [f"{where} {problem}" for where in places], most=5))
