"""How wide the interval of PGR will be, before anything is trained.

Shape suffixes: M models.
"""

from __future__ import annotations

import numpy as np

from w2s_rm.metrics.intervals import Means
from w2s_rm.metrics.pgr import PGR, pgr_of

ACCURACY = 0.75
"""Assumed of a student that recovers half of the gap."""
BETWEEN_MODELS = 0.3
"""Assumed correlation of the credits of two models: runs of the recipes had 0.1 to 0.6."""
BETWEEN_SEEDS = 0.6
"""Assumed correlation of the credits of two seeds of one model: runs of the recipes had 0.5 to 0.9."""


def expected_pgr(n_examples: int, n_seeds: int, *, gap: float, spread: float) -> PGR:
    """Return PGR as it will come out when half of a gap is recovered, with the interval that belongs to it.

    Credits are assumed to have the variance p (1 - p) and the correlations of this file, and the true accuracies of
    weak model, student and ceiling to differ from seed to seed independently of each other.

    Args:
        n_examples (`int`): Test examples.
        n_seeds (`int`): Seeds.
        gap (`float`): Accuracy of the ceiling minus that of the weak model, a share.
        spread (`float`): Standard deviation of each model's true accuracy over seeds, a share. With one seed an
            interval knows nothing of it.
    """
    accuracies_M = ACCURACY + gap * np.array([-0.5, 0.0, 0.5])
    deviations_M = np.sqrt(accuracies_M * (1 - accuracies_M))
    # Correlations of two seeds on one example: of the same model on the diagonal, of two models beside it.
    shared_MM = np.full((3, 3), BETWEEN_MODELS) + (BETWEEN_SEEDS - BETWEEN_MODELS) * np.eye(3)
    of_examples_MM = shared_MM * np.outer(deviations_M, deviations_M) / n_examples
    # What is left of an example's variance when seeds share the rest: it differs from seed to seed.
    alone_MM = (1 - BETWEEN_SEEDS) * np.diag(deviations_M**2) / n_examples
    if n_seeds == 1:
        return pgr_of(Means(accuracies_M, np.zeros((3, 3)), of_examples_MM + alone_MM, 1, n_examples, n_examples))
    of_seeds_MM = (alone_MM + spread**2 * np.eye(3)) / n_seeds
    return pgr_of(Means(accuracies_M, of_seeds_MM, of_examples_MM, n_seeds, n_examples, n_examples))
