"""What the losses share: log-probabilities that ignore padding, hardening, warm-up, checks of options.

Shape suffixes: B examples of a batch, N examples of a global batch, K candidates of an example (padded).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2s_rm.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor


class LossBase:
    """The part of the `Loss` protocol that is the same for every loss without batch statistics."""

    @property
    def needs_batch_statistics(self) -> bool:
        """Whether `batch_statistics` returns something."""
        return False

    def batch_statistics(self, scores_NK: Tensor, targets_NK: Tensor, mask_NK: Tensor) -> Tensor | None:
        """Return `None`: each example's loss depends on that example alone."""
        return None

    @property
    def convex(self) -> bool:
        """Whether the loss is convex in the scores, and the same throughout training."""
        return False


@dataclass(frozen=True)
class Interval:
    """The valid range of an option.

    Args:
        low (`float`): Lower end.
        high (`float`): Upper end.
        open_low (`bool`, *optional*, defaults to `False`): Whether `low` itself is excluded.
        open_high (`bool`, *optional*, defaults to `False`): Whether `high` itself is excluded.
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        # To Python, true is the number 1.
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


def check_options(loss: str, *options: tuple[str, object, Interval]) -> None:
    """Check the options of a loss, all of them at once.

    Args:
        loss (`str`): Registered name of the loss, for the message.
        options (`tuple[str, object, Interval]`): Name, value and valid range of each option.

    Raises:
        OptionError: Names every option that is not a number in its range, its value and the range.
    """
    # Membership in an `Interval` refuses NaN too: no comparison with it holds.
    problems = {name: f"is {value!r}; give a number in {valid}" for name, value, valid in options if value not in valid}
    if problems:
        raise OptionError(f"loss {loss!r}", problems)


def masked_log_softmax(scores_BK: Tensor, mask_BK: Tensor) -> Tensor:
    """Return log-probabilities over the real candidates, and 0 at padding.

    Zero at padding (not a huge negative number) makes products with targets vanish there, and neither value nor
    gradient depends on what the padding holds.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Scores, anything at padding.
        mask_BK (`Tensor` of shape `(B, K)`): `True` at real candidates, at least one in each row.
    """
    # Here, so that the options of losses are checked without torch.
    import torch

    floor = torch.finfo(scores_BK.dtype).min
    log_probs_BK = torch.log_softmax(scores_BK.masked_fill(~mask_BK, floor), dim=-1)
    return log_probs_BK.masked_fill(~mask_BK, 0.0)


def soft_cross_entropy(log_probs_BK: Tensor, targets_BK: Tensor) -> Tensor:
    """Return `-sum_k targets_k log_probs_k` for each example, shape `(B,)`.

    Args:
        log_probs_BK (`Tensor` of shape `(B, K)`): From `masked_log_softmax`.
        targets_BK (`Tensor` of shape `(B, K)`): Distribution over candidates, 0 at padding.
    """
    return -(targets_BK * log_probs_BK).sum(dim=-1)


def entropy(log_probs_BK: Tensor, mask_BK: Tensor) -> Tensor:
    """Return the entropy `-sum_k p_k log p_k` of each example in nats, shape `(B,)`.

    Args:
        log_probs_BK (`Tensor` of shape `(B, K)`): From `masked_log_softmax`.
        mask_BK (`Tensor` of shape `(B, K)`): `True` at real candidates.
    """
    # The mask, because padding has logarithm 0 and so would count with probability 1.
    return soft_cross_entropy(log_probs_BK, log_probs_BK.exp() * mask_BK)


def harden(log_probs_BK: Tensor, mask_BK: Tensor, thresholds_K: Tensor | None = None) -> Tensor:
    """Return the hardened prediction: all mass on the candidate furthest above its threshold, shape `(B, K)`, detached.

    Candidates that tie share the mass equally. Taking the first of them would make the target depend on the order of
    the candidates: a student that still scores everything alike would be told that the first one is right.

    Args:
        log_probs_BK (`Tensor` of shape `(B, K)`): From `masked_log_softmax`.
        mask_BK (`Tensor` of shape `(B, K)`): `True` at real candidates.
        thresholds_K (`Tensor` of shape `(K,)`, *optional*): Log-probability that each class has to exceed. `None` takes
            the most probable candidate.
    """
    # A target that followed the prediction would pull on itself, and be met by any prediction.
    log_probs_BK = log_probs_BK.detach()
    margins_BK = log_probs_BK if thresholds_K is None else log_probs_BK - thresholds_K
    margins_BK = margins_BK.masked_fill(~mask_BK, -math.inf)
    best_BK = (margins_BK == margins_BK.amax(dim=-1, keepdim=True)).to(log_probs_BK.dtype)
    return best_BK / best_BK.sum(dim=-1, keepdim=True)


def warmed_up(max_weight: float, warmup_fraction: float, progress: float) -> float:
    """Return a weight that rises linearly from 0 to `max_weight`, without a jump, then stays there.

    Args:
        max_weight (`float`): Weight after the warm-up.
        warmup_fraction (`float`): Share of training it takes; 0 gives `max_weight` from the start.
        progress (`float`): Share of the optimizer steps done, in [0, 1].
    """
    if warmup_fraction == 0:
        return max_weight
    return max_weight * min(1.0, progress / warmup_fraction)


def constant_metric(value: float, like_B: Tensor) -> Tensor:
    """Return a setting of the moment as a per-example metric, shape `(B,)`."""
    # For each example, because metrics are averaged as losses are.
    return like_B.detach().new_full(like_B.shape, value)
