"""The auxiliary confidence loss: let a strong student overrule its supervisor where it is sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import (
    Interval,
    LossBase,
    check_options,
    constant_metric,
    harden,
    masked_log_softmax,
    soft_cross_entropy,
    warmed_up,
)
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LogConfidence(LossBase):
    """Cross-entropy with the weak label, mixed with cross-entropy with the student's own hardened prediction.

        L = (1 - a) CE(f, w) + a CE(f, hard(f)),    a = max_weight * min(1, progress / warmup_fraction)

    `hard(f)` carries no gradient. How it is made depends on what the candidates are:

    - *exchangeable candidates* (`statistics` is `None`; two responses to a prompt): the most probable one. A class
      prior does not exist here; a threshold fitted to the batch would find the dataset's habit of ordering candidates.
    - *fixed classes* (`statistics` holds thresholds `t_K`): `argmax_k (log f_k - t_k)`, where `t_k` is the `(1 - 1/K)`
      quantile of `log f_k` over the **global** batch, so that a share `1/K` of it lies above for each class.

    For two classes this is the published rule, a threshold on the probability that leaves half of the batch above it.
    Proof: let `d = log f_1 - log f_2`. `log f_1` rises with `d` and `log f_2` falls, so the two medians are taken at
    the same one or two middle examples, with the same weights; a median is linear in those, hence
    `t_1 - t_2 = median(d)`, and `log f_1 - t_1 > log f_2 - t_2` says `d > median(d)`.
    For more than two classes the rule is our generalisation.

    Source: the auxiliary confidence loss of Burns et al. 2023, "Weak-to-Strong Generalization" (arXiv 2312.09390): the
    form of the loss, the threshold that adapts to half of the batch and the linear warm-up. The two default values are
    ours.

    Args:
        max_weight (`float`, *optional*, defaults to `0.5`): Weight `a` of the student's own prediction after the
            warm-up, in [0, 1].
        warmup_fraction (`float`, *optional*, defaults to `0.2`): Share of training, in [0, 1], over which the weight
            rises linearly from 0; 0 means `max_weight` from the start.

    Raises:
        ConfigError: An option is out of range.
    """

    max_weight: float = 0.5
    warmup_fraction: float = 0.2

    def __post_init__(self) -> None:
        check_options(
            "log_confidence",
            ("max_weight", self.max_weight, Interval(0, 1)),
            ("warmup_fraction", self.warmup_fraction, Interval(0, 1)),
        )

    @property
    def needs_batch_statistics(self) -> bool:
        """`True`: thresholds for fixed classes are taken over the global batch."""
        return True

    def batch_statistics(self, scores_NK: Tensor, targets_NK: Tensor, mask_NK: Tensor) -> Tensor:
        """Return the threshold of each class, shape `(K,)`.

        A batch of one example has no distribution to take a quantile of: its thresholds are 0, the same for each class,
        which leaves the most probable one.

        Args:
            scores_NK (`Tensor` of shape `(N, K)`): Scores of the global batch.
            targets_NK (`Tensor` of shape `(N, K)`): Labels of the global batch; not used.
            mask_NK (`Tensor` of shape `(N, K)`): `True` at real candidates.
        """
        if len(scores_NK) < 2:
            return scores_NK.new_zeros(scores_NK.shape[-1])
        # NaN at padding: `nanquantile` leaves it out, where the 0 of `masked_log_softmax` would be the highest value.
        log_probs_NK = masked_log_softmax(scores_NK.detach(), mask_NK).masked_fill(~mask_NK, math.nan)
        # A column that is padding throughout is no class.
        n_classes = mask_NK.any(dim=0).sum()
        level = (1 - 1 / n_classes).to(scores_NK.dtype)
        # A column of padding only has no quantile; no example has that class, so its threshold is never used.
        return log_probs_NK.nanquantile(level, dim=0).nan_to_num(nan=0.0)

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

        Metrics: `weak_cross_entropy` and `self_cross_entropy`, the two terms without their weights; `overruled`, the
        mass of the hardened prediction outside the label's own best candidates; `confidence_weight`, the current `a`.
        """
        weight = warmed_up(self.max_weight, self.warmup_fraction, progress)
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        # Thresholds, where there are any, are those of the global batch: within a micro-batch they would depend on its
        # size, and a single example has none.
        hardened_BK = harden(log_probs_BK, mask_BK, statistics)
        weak_B = soft_cross_entropy(log_probs_BK, targets_BK)
        self_B = soft_cross_entropy(log_probs_BK, hardened_BK)
        # All of them where labels tie: against a label that prefers nobody, nobody is overruled.
        best_of_label_BK = targets_BK == targets_BK.amax(dim=-1, keepdim=True)
        metrics = {
            "weak_cross_entropy": weak_B.detach(),
            "self_cross_entropy": self_B.detach(),
            "overruled": (hardened_BK * ~best_of_label_BK).sum(dim=-1),
            "confidence_weight": constant_metric(weight, weak_B),
        }
        return LossOutput((1 - weight) * weak_B + weight * self_B, metrics)
