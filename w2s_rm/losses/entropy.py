"""Entropy minimisation: ask the student for confidence without hardening its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import (
    Interval,
    LossBase,
    check_options,
    constant_metric,
    entropy,
    masked_log_softmax,
    soft_cross_entropy,
    warmed_up,
)
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Entropy(LossBase):
    """Cross-entropy with the weak label, mixed with the entropy of the student's prediction, which is minimised.

        L = (1 - a) CE(f, w) + a H(f),    H(f) = -sum_k f_k log f_k
        a = max_weight * min(1, progress / warmup_fraction)

    It is the confidence loss with the prediction itself in place of its hardened form. The gradient flows through both
    factors of `H`: public code (github.com/EleutherAI/w2s, loss `entropy`) detaches one of them, but then the gradient
    of the second term with respect to the scores is `f - f = 0`, and all that is left is a smaller learning rate.
    As `max_weight` comes near 1 the labels lose their say and any certain student is a minimum.

    Source: minimum entropy regularization, Grandvalet and Bengio 2004, "Semi-supervised Learning by Entropy
    Minimization" (NIPS 17), which subtracts `lambda * H` from a log-likelihood; here on the weakly labelled examples
    themselves, with the convex weights and the warm-up of `log_confidence`. The default values are ours.

    Args:
        max_weight (`float`, *optional*, defaults to `0.5`): Weight `a` of the entropy after the warm-up, in [0, 1].
        warmup_fraction (`float`, *optional*, defaults to `0.2`): Share of training, in [0, 1], over which the weight
            rises linearly from 0; 0 means `max_weight` from the start.

    Raises:
        ConfigError: An option is out of range.
    """

    max_weight: float = 0.5
    warmup_fraction: float = 0.2

    def __post_init__(self) -> None:
        check_options(
            "entropy",
            ("max_weight", self.max_weight, Interval(0, 1)),
            ("warmup_fraction", self.warmup_fraction, Interval(0, 1)),
        )

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

        Metrics: `weak_cross_entropy` and `student_entropy`, the two terms without their weights; `entropy_weight`, the
        current `a`.
        """
        weight = warmed_up(self.max_weight, self.warmup_fraction, progress)
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        weak_B = soft_cross_entropy(log_probs_BK, targets_BK)
        # Through both of its factors: with one of them detached the gradient would be zero, see the class.
        entropy_B = entropy(log_probs_BK, mask_BK)
        metrics = {
            "weak_cross_entropy": weak_B.detach(),
            "student_entropy": entropy_B.detach(),
            "entropy_weight": constant_metric(weight, weak_B),
        }
        return LossOutput((1 - weight) * weak_B + weight * entropy_B, metrics)
