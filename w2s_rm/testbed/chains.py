"""Derivations in the world of facts: which of several entities is the highest, one comparison a step.

    which is up_size : E3 , E17 , E9 ?
    E17 or E3 ? E17 <eos> E17 or E9 ? E9 <eos>

Each step compares the best so far with the next entity, in an order of its own, and names one of the two; a mistake
names the other one, and what follows goes on from there. Pure; no torch.

Shape suffixes: N derivations, C entities of a problem, M = C - 1 steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Derivations:
    """Derivations of which entity of a problem is the highest, or the lowest.

    Args:
        best_NM (`ndarray` of shape `(N, M)`): The best so far, before each step.
        next_NM (`ndarray` of shape `(N, M)`): With what it is compared.
        named_NM (`ndarray` of shape `(N, M)`): Which of the two the step names.
        mistake_N (`ndarray` of shape `(N,)`): The step that names the wrong one; M where none does.
    """

    best_NM: Ints
    next_NM: Ints
    named_NM: Ints
    mistake_N: Ints

    @property
    def right_so_far_NM(self) -> NDArray[np.bool_]:
        """Whether no step up to each one is mistaken."""
        return np.arange(self.named_NM.shape[1]) < self.mistake_N[:, None]


def first_that_matters(worth_NC: NDArray[np.float64]) -> Ints:
    """Return the first step, of shape `(N,)`, at which a mistake drops the best of all; so does each behind it.

    Args:
        worth_NC (`ndarray` of shape `(N, C)`): As in [`derive`].
    """
    # The step that brings the best of all in; as the first entity it is there from the first step on.
    return np.maximum(worth_NC.argmax(axis=1) - 1, 0)


def derive(order_NC: Ints, worth_NC: NDArray[np.float64], mistake_N: Ints) -> Derivations:
    """Write derivations.

    Args:
        order_NC (`ndarray` of shape `(N, C)`): The entities of each problem, in the order in which they are compared.
        worth_NC (`ndarray` of shape `(N, C)`): What is compared of each, in the same order; the highest wins.
        mistake_N (`ndarray` of shape `(N,)`): The step that is mistaken; M for none.
    """
    n, c = order_NC.shape
    best_NM, next_NM, named_NM = (np.empty((n, c - 1), dtype=np.int64) for _ in range(3))
    rows, held_N = np.arange(n), np.zeros(n, dtype=np.int64)
    for step in range(c - 1):
        beaten_N = worth_NC[rows, held_N] < worth_NC[:, step + 1]
        best_NM[:, step], next_NM[:, step] = order_NC[rows, held_N], order_NC[:, step + 1]
        # A mistake turns the comparison around: the next entity is named where it should not be, or is not where it
        # should.
        held_N = np.where(beaten_N != (mistake_N == step), step + 1, held_N)
        named_NM[:, step] = order_NC[rows, held_N]
    return Derivations(best_NM, next_NM, named_NM, mistake_N)
