"""Reverse KL, Yao et al. 2025 (arXiv 2502.11107)."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from w2s_rm.errors import ConfigError
from w2s_rm.losses.reverse_kl import ReverseKl


def run(loss, scores_BK, targets_BK):
    scores_BK = scores_BK.clone().requires_grad_()
    output = loss(scores_BK, targets_BK, torch.ones_like(scores_BK, dtype=torch.bool), progress=0.0)
    (gradient_BK,) = torch.autograd.grad(output.per_example_B.sum(), scores_BK)
    return output.per_example_B.detach(), gradient_BK


def test_hand_derived_number():
    # f = (3/4, 1/4), w = (1, 0) clipped to (0.95, 0.05).
    # 0.75 ln(0.75 / 0.95) + 0.25 ln(0.25 / 0.05) = 0.75 * (-0.2363888) + 0.25 * 1.6094379 = 0.2250679.
    losses_B, _ = run(ReverseKl(), torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(losses_B, torch.tensor([0.2250679]))


def test_hand_derived_number_for_three_candidates():
    # Floor 2 * 0.05 / 3 = 1/30: (1, 0, 0) becomes (29, 1, 1)/30, normalised (29, 1, 1)/31.
    # f uniform: L = -ln 3 - (ln 29 - 3 ln 31) / 3
    #   = -1.0986123 - (3.3672958 - 10.3019616) / 3 = -1.0986123 + 2.3115553 = 1.2129430.
    losses_B, _ = run(ReverseKl(), torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]))
    torch.testing.assert_close(losses_B, torch.tensor([1.2129430]))


def test_direction_is_from_the_label_to_the_student():
    generator = torch.Generator().manual_seed(0)
    scores_BK = torch.randn(50, 4, generator=generator)
    # All weak probabilities above the floor of 0.025, so that nothing is clipped.
    targets_BK = 0.1 + 0.6 * torch.softmax(torch.randn(50, 4, generator=generator), dim=-1)
    expected_B = kl_divergence(Categorical(logits=scores_BK), Categorical(probs=targets_BK))
    torch.testing.assert_close(run(ReverseKl(), scores_BK, targets_BK)[0], expected_B, rtol=1e-5, atol=1e-6)


def test_minimum_is_zero_at_the_label():
    targets_BK = torch.tensor([[0.7, 0.3], [0.95, 0.05]])
    losses_B, gradient_BK = run(ReverseKl(), targets_BK.log(), targets_BK)
    torch.testing.assert_close(losses_B, torch.zeros(2))
    torch.testing.assert_close(gradient_BK, torch.zeros(2, 2))


def test_hard_label_costs_no_more_than_the_clip_allows():
    # A student that is certain of the opposite: L = -ln 0.05 = 2.9957323, where cross-entropy would be 2e4.
    losses_B, gradient_BK = run(ReverseKl(), torch.tensor([[-1e4, 1e4]]), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(losses_B, torch.tensor([2.9957323]))
    assert gradient_BK.isfinite().all()


@pytest.mark.parametrize("clip", [0.0, 0.5, -1])
def test_bad_clip(clip):
    with pytest.raises(ConfigError) as error:
        ReverseKl(clip)
    assert f"clip is {clip}; give a number in (0, 0.5)" in str(error.value)
