"""Naive weak-to-strong training: cross-entropy with the weak labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import LossBase, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CrossEntropy(LossBase):
    """Cross-entropy between the label distribution and the softmax of the scores.

        L = -sum_k w_k log f_k,    f = softmax(scores)

    For two candidates this is the Bradley–Terry likelihood: `-log sigmoid(s_1 - s_2)` for a hard label, binary
    cross-entropy on `s_1 - s_2` for a soft one. For more it is the first choice of a Plackett–Luce ranking, not a sum
    over pairs.

    Source: the naive finetuning of Burns et al. 2023, "Weak-to-Strong Generalization" (arXiv 2312.09390); for pairs
    Bradley and Terry 1952, "Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons".
    """

    @property
    def convex(self) -> bool:
        """`True`: cross-entropy with a label that does not depend on the scores."""
        return True

    def __call__(
        self,
        scores_BK: Tensor,
        targets_BK: Tensor,
        mask_BK: Tensor,
        *,
        progress: float,
        statistics: Tensor | None = None,
    ) -> LossOutput:
        """Compute the loss of each example; arguments as in [`~w2s_rm.types.Loss`].

        Metrics: `label_entropy`, the entropy of the label, which is the smallest value the loss can take.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        # `xlogy` is 0 where a label is 0, as its limit is.
        label_entropy_B = -targets_BK.xlogy(targets_BK).sum(dim=-1)
        return LossOutput(soft_cross_entropy(log_probs_BK, targets_BK), {"label_entropy": label_entropy_B})
