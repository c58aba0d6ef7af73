"""Label smoothing: take the weak labels a little less seriously."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import Interval, LossBase, check_options, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LabelSmoothing(LossBase):
    """Cross-entropy with the weak label mixed with the uniform distribution.

        L = CE(f, w'),    w'_k = (1 - smoothing) w_k + smoothing / K

    K counts the real candidates of the example, not its padding. The minimum is at `f = w'`.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision" (CVPR 2016, arXiv
    1512.00567), section 7, with the weak label in place of the one-hot one.

    Args:
        smoothing (`float`, *optional*, defaults to `0.1`): Weight of the uniform distribution, in [0, 1).

    Raises:
        ConfigError: The smoothing is out of range.
    """

    smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_options("label_smoothing", ("smoothing", self.smoothing, Interval(0, 1, open_high=True)))

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

        Metrics: `weak_cross_entropy`, cross-entropy with the label as it is.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        # Over the real candidates: how many columns are padded depends on what else is in the batch.
        uniform_BK = mask_BK / mask_BK.sum(dim=-1, keepdim=True)
        smoothed_BK = (1 - self.smoothing) * targets_BK + self.smoothing * uniform_BK
        metrics = {"weak_cross_entropy": soft_cross_entropy(log_probs_BK.detach(), targets_BK)}
        return LossOutput(soft_cross_entropy(log_probs_BK, smoothed_BK), metrics)
