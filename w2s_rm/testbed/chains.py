"""Derivations in the world of facts: which of several entities is the highest, one comparison a step.

    which is up_size : E3 , E17 , E9 ?
    E17 or E3 ? E17 <eos> E17 or E9 ? E9 <eos>

Each step compares the best so far with the next entity, in an order of its own, and names one of the two. A mistake
names the other one; only a step that so drops the best of all is ever mistaken, hence a derivation ends with the right
entity exactly when it holds no mistake. Pure; no torch.

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


def derive(
    order_NC: Ints, worth_NC: NDArray[np.float64], mistaken_N: NDArray[np.bool_], draw_N: NDArray[np.float64]
) -> Derivations:
    """Write derivations.

    Args:
        order_NC (`ndarray` of shape `(N, C)`): The entities of each problem, in the order in which they are compared.
        worth_NC (`ndarray` of shape `(N, C)`): What is compared of each, in the same order; the highest wins.
        mistaken_N (`ndarray` of shape `(N,)`): Whether a step is to be mistaken.
        draw_N (`ndarray` of shape `(N,)`): In [0, 1), which of the steps that could be.
    """
    n, c = order_NC.shape
    # The best of all takes part from the step on that brings it in; as the first entity, from the first step on.
    first_N = np.maximum(worth_NC.argmax(axis=1) - 1, 0)
    mistake_N = np.where(mistaken_N, first_N + (draw_N * (c - 1 - first_N)).astype(np.int64), c - 1)
    best_NM, next_NM, named_NM = (np.empty((n, c - 1), dtype=np.int64) for _ in range(3))
    rows, held_N = np.arange(n), np.zeros(n, dtype=np.int64)
    for step in range(c - 1):
        beaten_N = worth_NC[rows, held_N] < worth_NC[:, step + 1]
        best_NM[:, step], next_NM[:, step] = order_NC[rows, held_N], order_NC[:, step + 1]
        held_N = np.where(beaten_N != (mistake_N == step), step + 1, held_N)
        named_NM[:, step] = order_NC[rows, held_N]
    return Derivations(best_NM, next_NM, named_NM, mistake_N)
