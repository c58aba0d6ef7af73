"""Balance: a supervisor that says one class too often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.data.distributions import log_probabilities, reordered, with_log_probabilities
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError, OptionError
from w2s_rm.labels._base import Evidence, TransformBase, check_labels, is_number, needed_classes
from w2s_rm.types import text_hash

Floats = NDArray[np.float64]
_TOLERANCE = 1e-9
_ROUNDS = 1000
# Halving an interval of a float this often leaves nothing of it.
_HALVINGS = 100
# Nats beyond the last label at which every label says the class, or none does, to more than the tolerance.
_BEYOND = 40.0


@dataclass(frozen=True)
class Balance(TransformBase):
    """A shift for each class, the same for all labels, that makes the mean label the class prior.

        w'_nk = w_nk e^{b_k} / sum_j w_nj e^{b_j},    b such that 1/N sum_n w'_nk = prior_k for each class k

    Such shifts are unique up to a constant and minimise a convex function, `1/N sum_n log sum_k w_nk e^{b_k} - sum_k
    prior_k b_k`; they are found class by class, each by halving, until every mean is within 1e-9.

    Only for fixed classes. Exchangeable candidates have no prior to balance to: which of two responses stands first is
    a hash of their id, and a shift for a position would mean nothing.

    Source: Sinkhorn and Knopp 1967, "Concerning nonnegative matrices and doubly stochastic matrices": the matrix of
    labels is scaled to rows of 1 and columns of `N prior_k`. Burns et al. 2023 (arXiv 2312.09390) balance classes with
    a threshold inside their confidence loss; here it is the labels.

    Args:
        prior (`tuple[float, ...]`, *optional*): The share of each class, in the order of the task's classes, above 0
            and of sum 1. `None` gives all classes the same.

    Raises:
        OptionError: No such shares.
    """

    prior: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.prior is None:
            return
        valid = isinstance(self.prior, (list, tuple)) and all(is_number(share) and share > 0 for share in self.prior)
        if not valid or len(self.prior) < 2 or abs(math.fsum(self.prior) - 1) > 1e-6:
            text = f"is {self.prior!r}; give each class a share above 0, at least two of them, of sum 1"
            raise OptionError("labels 'balance'", {"prior": text})
        # A recipe holds lists; a tuple keeps the dataclass hashable.
        object.__setattr__(self, "prior", tuple(self.prior))

    @property
    def needs(self) -> frozenset[str]:
        """`classes`."""
        return frozenset({"classes"})

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Refuse a prior for another number of classes."""
        if self.prior is not None and len(self.prior) != len(classes):
            raise ConfigError(
                f"labels 'balance': prior has {len(self.prior)} shares, the task {len(classes)} classes "
                f"({', '.join(classes)}); give one for each"
            )

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            ConfigError: Exchangeable candidates, or a prior for another number of classes.
            DataError: A label of other candidates, or no shift gives these labels this mean.
        """
        check_labels("balance", labels)
        why = "candidates without a fixed meaning have no prior; leave it out"
        classes = needed_classes("balance", evidence, why)
        self.check_classes(classes)
        prior = self.prior or (1 / len(classes),) * len(classes)
        class_ids = tuple(map(text_hash, classes))
        logs_NK = np.array([log_probabilities(reordered(label, class_ids)) for label in labels])
        # Sums of floats depend on their order; that of the labels must not matter.
        order = np.lexsort(logs_NK.T)
        shift = dict(zip(class_ids, shifts(logs_NK[order], np.array(prior)).tolist(), strict=True))
        return [_shifted(label, shift) for label in labels]


def shifts(logs_NK: Floats, prior_K: Floats) -> Floats:
    """Return the shift of each class, shape `(K,)`, in nats, the first being 0.

    Args:
        logs_NK (`ndarray` of shape `(N, K)`): Log-probabilities; minus infinity is allowed.
        prior_K (`ndarray` of shape `(K,)`): Wanted mean of each class, above 0, of sum 1.

    Raises:
        DataError: No shift gives this mean, because too many labels are hard.
    """
    shift_K = np.zeros(len(prior_K))
    for _ in range(_ROUNDS):
        for k, share in enumerate(prior_K):
            # Coordinate descent on a convex function: class by class, the others as they are, until none has to move.
            shift_K[k] = _shift(logs_NK[:, k], _log_sum(np.delete(logs_NK + shift_K, k, axis=1)), float(share))
        mean_K = np.exp((logs_NK + shift_K) - _log_sum(logs_NK + shift_K)[:, None]).mean(axis=0)
        if np.abs(mean_K - prior_K).max() < _TOLERANCE:
            # Shifts are unique up to a constant: the first class is where they are counted from.
            return shift_K - shift_K[0]
    raise DataError(_too_hard(len(logs_NK)))


def _shift(logs_N: Floats, others_N: Floats, share: float) -> float:
    """What to add to the log-probabilities of one class so that its mean is `share`, the others staying."""
    # No shift moves a label that is certain of this class, or excludes it.
    only, never = others_N == -np.inf, logs_N == -np.inf
    if not only.mean() < share < 1 - never.mean():
        raise DataError(_too_hard(len(logs_N)))
    odds_N = (logs_N - others_N)[~only & ~never]
    # What the movable labels must add up to.
    target = share * len(logs_N) - only.sum()
    low, high = -odds_N.max() - _BEYOND, -odds_N.min() + _BEYOND
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The sigmoid of the shifted log-odds, without overflow.
        enough = np.exp(-np.logaddexp(0.0, -(odds_N + middle))).sum() >= target
        low, high = (low, middle) if enough else (middle, high)
    return float(low + high) / 2


def _log_sum(values_NK: Floats) -> Floats:
    """Logarithm of the sum of exponentials of each row; minus infinity for a row of nothing else."""
    return np.logaddexp.reduce(values_NK, axis=1)


def _too_hard(n: int) -> str:
    return (
        f"labels 'balance': no shift of classes gives the {n} labels this mean, for too many of them have probability "
        "0 or 1, which no shift changes; balance before hardening, or leave it out"
    )


def _shifted(label: WeakLabel, shift: dict[str, float]) -> WeakLabel:
    pairs = zip(log_probabilities(label), label.candidate_ids, strict=True)
    return with_log_probabilities(label, [log + shift[candidate] for log, candidate in pairs])
