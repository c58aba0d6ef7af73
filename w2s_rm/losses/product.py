"""The product loss: train towards the renormalised product of student and supervisor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import Interval, LossBase, check_options, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Product(LossBase):
    """Cross-entropy with the normalised product of the student's prediction and the weak label.

        L = CE(f, g),    g_k = f_k^strong_power w_k^weak_power / sum_j f_j^strong_power w_j^weak_power

    `g` carries no gradient. With both powers 1 it is the posterior of a student that takes its own prediction as prior
    and the weak label as likelihood; the student is a fixed point only where it is certain or the label says nothing,
    so training sharpens it in the direction of the label. With `strong_power = 0` it is cross-entropy with the
    (tempered) label.
    The product is formed from logarithms, so that a prediction which rounds to 0 does not make it 0/0.

    Source: `product_loss_fn` in the public code that accompanies Burns et al. 2023 (github.com/openai/weak-to-strong,
    `weak_to_strong/loss.py`). That class also stores a warm-up fraction without using it; there is none here.

    Args:
        weak_power (`float`, *optional*, defaults to `1.0`): Exponent of the weak label, in (0, inf).
        strong_power (`float`, *optional*, defaults to `1.0`): Exponent of the student's own prediction, in [0, inf).

    Raises:
        ConfigError: An option is out of range.
    """

    weak_power: float = 1.0
    strong_power: float = 1.0

    def __post_init__(self) -> None:
        check_options(
            "product",
            ("weak_power", self.weak_power, Interval(0, math.inf, open_low=True, open_high=True)),
            ("strong_power", self.strong_power, Interval(0, math.inf, open_high=True)),
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

        Metrics: `weak_cross_entropy`, cross-entropy with the weak label itself.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        # A target: with a gradient the student could move it towards itself in place of learning.
        product_BK = self._product(log_probs_BK.detach(), targets_BK)
        metrics = {"weak_cross_entropy": soft_cross_entropy(log_probs_BK.detach(), targets_BK)}
        return LossOutput(soft_cross_entropy(log_probs_BK, product_BK), metrics)

    def _product(self, log_probs_BK: Tensor, targets_BK: Tensor) -> Tensor:
        # Padding has target 0, so the support of the label is inside the mask.
        support_BK = targets_BK > 0
        # 1 stands in for 0, whose logarithm is infinite: the last line leaves these candidates out, whatever they hold.
        log_targets_BK = targets_BK.masked_fill(~support_BK, 1.0).log()
        log_product_BK = self.strong_power * log_probs_BK + self.weak_power * log_targets_BK
        return log_product_BK.masked_fill(~support_BK, -math.inf).softmax(dim=-1)
