"""Reverse KL: seek the mode of the weak label in place of covering it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import Interval, LossBase, check_options, entropy, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReverseKl(LossBase):
    """Kullback–Leibler divergence from the clipped weak label to the student's prediction.

        L = KL(f || w') = sum_k f_k (log f_k - log w'_k)

    `w'` is the weak label with every probability clipped away from 0 and 1, without which a hard label would make the
    divergence infinite. For two candidates `w'` lies in `[clip, 1 - clip]`; for K it is clipped to
    `[2 clip / K, 1 - 2 clip / K]` and normalised again, so that the mass which clipping gives to unlikely
    candidates stays below `2 clip` for any K. The loss is 0 where `f = w'`.

    Source: Yao, Yang, Wang, Lin and Liu 2025, "Revisiting Weak-to-Strong Generalization in Theory and Practice: Reverse
    KL vs. Forward KL" (arXiv 2502.11107, Findings of ACL 2025). Clipping and its default are ours.

    Args:
        clip (`float`, *optional*, defaults to `0.05`): Smallest weak probability of two candidates, in (0, 0.5).

    Raises:
        ConfigError: The clip is out of range.
    """

    clip: float = 0.05

    def __post_init__(self) -> None:
        check_options("reverse_kl", ("clip", self.clip, Interval(0, 0.5, open_low=True, open_high=True)))

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

        Metrics: `weak_cross_entropy`, cross-entropy with the label as it is; `student_entropy`, the entropy of `f`.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        probs_BK = log_probs_BK.exp() * mask_BK
        reverse_cross_entropy_B = -(probs_BK * self._log_clipped(targets_BK, mask_BK)).sum(dim=-1)
        entropy_B = entropy(log_probs_BK, mask_BK)
        metrics = {
            "weak_cross_entropy": soft_cross_entropy(log_probs_BK.detach(), targets_BK),
            "student_entropy": entropy_B.detach(),
        }
        # KL(f || w') is the cross-entropy of f with w' less the entropy of f; the gradient goes through both.
        return LossOutput(reverse_cross_entropy_B - entropy_B, metrics)

    def _log_clipped(self, targets_BK: Tensor, mask_BK: Tensor) -> Tensor:
        # For K = 2 the clip itself.
        floor_B1 = 2 * self.clip / mask_BK.sum(dim=-1, keepdim=True)
        clipped_BK = targets_BK.clamp(floor_B1, 1 - floor_B1) * mask_BK
        normalised_BK = clipped_BK / clipped_BK.sum(dim=-1, keepdim=True)
        # At padding the logarithm of 1, because 0 times that of 0 would be NaN.
        return normalised_BK.masked_fill(~mask_BK, 1.0).log()
