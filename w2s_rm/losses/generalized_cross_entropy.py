"""Generalized cross-entropy: between cross-entropy and mean absolute error, less moved by wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import Interval, LossBase, check_options, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GeneralizedCrossEntropy(LossBase):
    """The `L_q` loss, averaged over the label distribution.

        L = sum_k w_k (1 - f_k^q) / q

    It tends to cross-entropy as `q` goes to 0 and is half of the mean absolute error, `1 - f_y` for a hard label, at
    `q = 1`. Its gradient is the one of cross-entropy with each candidate weighted by `f_k^q`, so a label that the
    student finds absurd hardly moves it. Against a soft label the minimum is not at `f = w` but at
    `f_k` proportional to `w_k^(1 / (1 - q))`, which is sharper.

    Source: Zhang and Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels"
    (NeurIPS 2018, arXiv 1805.07836), `L_q(f(x), e_j) = (1 - f_j(x)^q) / q`; the average over a soft label is ours.

    Args:
        q (`float`, *optional*, defaults to `0.7`): Between cross-entropy (towards 0) and absolute error (1), in (0, 1].
            The default is our choice.

    Raises:
        ConfigError: The exponent is out of range.
    """

    q: float = 0.7

    def __post_init__(self) -> None:
        check_options("generalized_cross_entropy", ("q", self.q, Interval(0, 1, open_low=True)))

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

        Metrics: `weak_cross_entropy`, ordinary cross-entropy with the weak label.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        # 1 - f^q from the logarithm: f^q rounds to 1 for small q.
        # Padding has logarithm 0, and so 0 here too.
        per_candidate_BK = -(self.q * log_probs_BK).expm1() / self.q
        metrics = {"weak_cross_entropy": soft_cross_entropy(log_probs_BK.detach(), targets_BK)}
        return LossOutput((targets_BK * per_candidate_BK).sum(dim=-1), metrics)
