"""The confidence window: learn from weak labels only where the student is undecided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.losses._base import Interval, LossBase, check_options, masked_log_softmax, soft_cross_entropy
from w2s_rm.types import LossOutput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ConfidenceWindow(LossBase):
    """Cross-entropy with the weak label for undecided examples, 0 for those the student is already sure of.

        L = CE(f, w)  if  (max_k f_k - 1/K) / (1 - 1/K) < 2 radius,    else 0

    For two candidates the condition is `max_k f_k < 0.5 + radius`, the published form; for K candidates it measures how
    far the student has moved from chance (0) to certainty (1), which is our generalisation. Examples outside the window
    still count in the denominator of the average, they only contribute nothing.

    Source: `confidence_window_loss` in the code of EleutherAI's "Experiments in Weak-to-Strong Generalization"
    (github.com/EleutherAI/w2s, `w2s/loss.py`), whose default radius is also 0.15. There the radius may also be the
    median of `|w - 0.5|` over the weak labels; compute that number and give it here.

    Args:
        radius (`float`, *optional*, defaults to `0.15`): Half width of the window around chance, in (0, 1]; anything
            above 0.5 keeps every example.

    Raises:
        ConfigError: The radius is out of range.
    """

    radius: float = 0.15

    def __post_init__(self) -> None:
        check_options("confidence_window", ("radius", self.radius, Interval(0, 1, open_low=True)))

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

        Metrics: `weak_cross_entropy` over all examples; `inside_window`, 1 for examples that are learned from.
        """
        log_probs_BK = masked_log_softmax(scores_BK, mask_BK)
        weak_B = soft_cross_entropy(log_probs_BK, targets_BK)
        # No gradient: the window chooses examples, and a student must not learn to leave it.
        # Twice the radius: confidence goes from 0 to 1 while the better probability of two goes from 0.5 to 1.
        inside_B = self._confidence(log_probs_BK.detach(), mask_BK) < 2 * self.radius
        metrics = {"weak_cross_entropy": weak_B.detach(), "inside_window": inside_B.to(weak_B.dtype)}
        return LossOutput(weak_B.masked_fill(~inside_B, 0.0), metrics)

    def _confidence(self, log_probs_BK: Tensor, mask_BK: Tensor) -> Tensor:
        chance_B = 1 / mask_BK.sum(dim=-1)
        # The mask, because padding has logarithm 0 and so would have the probability 1.
        best_B = (log_probs_BK.exp() * mask_BK).amax(dim=-1)
        return (best_B - chance_B) / (1 - chance_B)
