"""Ways to put test examples into groups: each a function of what is on file, and its name.

Shape suffixes: S seeds, N test examples with ground truth, Q quarters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.choices import Floats

_QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class OnFile:
    """What is on file of the test examples of a run, under one method.

    Args:
        lengths (`Sequence[Sequence[int]]`, *optional*): Characters of each candidate, in the order of the examples;
            `None` where the examples are gone, or their candidates are the same everywhere.
        weak_SN (`ndarray` of shape `(S, N)`, *optional*): Credits of the weak supervisor.
        confidence_SN (`ndarray` of shape `(S, N)`, *optional*): Probability that it gives to what it chooses.
    """

    lengths: Sequence[Sequence[int]] | None
    weak_SN: Floats | None
    confidence_SN: Floats | None


@dataclass(frozen=True)
class Groups:
    """Test examples in groups.

    Args:
        names (`tuple[str, ...]`): Of the groups, from easy or small to hard or large.
        of_N (`ndarray` of shape `(N,)`): The group of each example, an index of `names`.
        values_N (`ndarray` of shape `(N,)`): By what they were grouped.
    """

    names: tuple[str, ...]
    of_N: NDArray[np.int64]
    values_N: Floats


Grouping = Callable[[OnFile], Groups | None]


def length_difference(known: OnFile) -> Groups | None:
    """Quarters by how much longer the longest candidate is than the shortest, in characters."""
    if known.lengths is None:
        return None
    return quarters(np.array([max(row) - min(row) for row in known.lengths], dtype=np.float64))


def weak_confidence(known: OnFile) -> Groups | None:
    """Quarters by the probability that the supervisor gives to what it chooses, mean over seeds."""
    # The mean over seeds, so that an example is in one group for all of them.
    return None if known.confidence_SN is None else quarters(known.confidence_SN.mean(axis=0))


def weak_errors(known: OnFile) -> Groups | None:
    """By how many of the supervisors of all seeds err, from none (easy) to all (hard); a tie at the top is an error."""
    # Seeds in which nothing was left to chance are one supervisor.
    if known.weak_SN is None or bool((known.weak_SN == known.weak_SN[0]).all()):
        return None
    errors_N = (known.weak_SN < 1).sum(axis=0)
    names = tuple(f"{count} of {len(known.weak_SN)} err" for count in range(len(known.weak_SN) + 1))
    return Groups(names, errors_N, errors_N.astype(np.float64))


GROUPINGS: dict[str, Grouping] = {
    "length difference": length_difference,
    "supervisor's confidence": weak_confidence,
    "supervisors that err": weak_errors,
}
"""All ways, by the name under which a report shows them."""


def quarters(values_N: Floats) -> Groups:
    """Put examples into quarters by a value; equal ones stay together, so that quarters may be unequal.

    Args:
        values_N (`ndarray` of shape `(N,)`): A value for each example.
    """
    edges_Q = np.quantile(values_N, [0.25, 0.5, 0.75])
    # `left` puts a value that lies on an edge into the quarter below it.
    return Groups(_QUARTERS, np.searchsorted(edges_Q, values_N, side="left"), values_N)
