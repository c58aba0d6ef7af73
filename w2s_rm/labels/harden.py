"""Hard labels: all weight on what the supervisor holds for right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from w2s_rm.data.distributions import best_candidates
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.labels._base import Evidence, TransformBase, check_labels


@dataclass(frozen=True)
class Harden(TransformBase):
    """Each label becomes its most probable candidate.

        w'_k = 1/|B| for k in B, else 0,    B = {k: w_k = max_j w_j}

    Exact ties stay ties: to take the first of them would make the label depend on the order of the candidates. A hard
    label has no scores, for its log-probabilities are not finite.

    Source: the definition of an argmax. Burns et al. 2023, "Weak-to-Strong Generalization" (arXiv 2312.09390), train on
    soft labels; hard ones are what most preference datasets hold.
    """

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`]."""
        check_labels("harden", labels)
        return [_hard(label) for label in labels]


def _hard(label: WeakLabel) -> WeakLabel:
    best = best_candidates(label)
    return replace(
        label,
        probabilities=tuple((k in best) / len(best) for k in range(len(label.probabilities))),
        scores=None,
    )
