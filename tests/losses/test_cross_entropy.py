"""Cross-entropy: Bradley–Terry for two candidates, the first choice of Plackett–Luce for more."""

import math

import pytest
import torch
from torch.nn import functional as F

from w2s_rm.losses.cross_entropy import CrossEntropy


def per_example(scores_BK, targets_BK):
    mask_BK = torch.ones_like(scores_BK, dtype=torch.bool)
    return CrossEntropy()(scores_BK, targets_BK, mask_BK, progress=0.0).per_example_B


def test_hand_derived_number():
    # Scores ln 3 and 0: f = (3/4, 1/4), -ln f = (0.2876821, 1.3862944).
    # Hard label 0: 0.2876821.
    # Soft label (0.6, 0.4): 0.6 * 0.2876821 + 0.4 * 1.3862944 = 0.1726093 + 0.5545177 = 0.7271270.
    scores_BK = torch.tensor([[math.log(3.0), 0.0]] * 2)
    losses_B = per_example(scores_BK, torch.tensor([[1.0, 0.0], [0.6, 0.4]]))
    torch.testing.assert_close(losses_B, torch.tensor([0.2876821, 0.7271270]))


def test_hand_derived_number_for_three_candidates():
    # f = (1/2, 1/4, 1/4), w = (0.5, 0.3, 0.2): 0.5 ln 2 + (0.3 + 0.2) ln 4 = 0.3465736 + 0.6931472 = 1.0397208.
    losses_B = per_example(torch.tensor([[math.log(2.0), 0.0, 0.0]]), torch.tensor([[0.5, 0.3, 0.2]]))
    torch.testing.assert_close(losses_B, torch.tensor([1.0397208]))


@pytest.mark.parametrize("offset", [0.0, 100.0, 9999.0])
def test_hard_pairs_equal_log_sigmoid_of_the_difference(offset):
    difference_B = torch.cat([torch.linspace(-30, 30, 301), torch.linspace(-2e4, 2e4, 41)])
    ours_BK = torch.stack([offset + difference_B, torch.full_like(difference_B, offset)], dim=1).requires_grad_()
    theirs_BK = ours_BK.detach().clone().requires_grad_()
    losses_B = per_example(ours_BK, torch.tensor([1.0, 0.0]).expand_as(ours_BK))
    expected_B = -F.logsigmoid(theirs_BK[:, 0] - theirs_BK[:, 1])
    # Two units of float32 rounding at 1, relative for larger losses.
    torch.testing.assert_close(losses_B, expected_B, rtol=2.4e-7, atol=2.4e-7)
    gradients = (torch.autograd.grad(losses_B.sum(), ours_BK), torch.autograd.grad(expected_B.sum(), theirs_BK))
    torch.testing.assert_close(*gradients, rtol=0.0, atol=2.4e-7)


def test_soft_pairs_equal_binary_cross_entropy_with_logits():
    generator = torch.Generator().manual_seed(0)
    ours_BK = (5 * torch.randn(200, 2, generator=generator)).requires_grad_()
    theirs_BK = ours_BK.detach().clone().requires_grad_()
    chosen_B = torch.rand(200, generator=generator)
    losses_B = per_example(ours_BK, torch.stack([chosen_B, 1 - chosen_B], dim=1))
    expected_B = F.binary_cross_entropy_with_logits(theirs_BK[:, 0] - theirs_BK[:, 1], chosen_B, reduction="none")
    torch.testing.assert_close(losses_B, expected_B, rtol=1e-6, atol=1e-6)
    gradients = (torch.autograd.grad(losses_B.sum(), ours_BK), torch.autograd.grad(expected_B.sum(), theirs_BK))
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


def test_minimum_is_at_the_label_and_equals_its_entropy():
    targets_BK = torch.tensor([[0.6, 0.3, 0.1]])
    scores_BK = targets_BK.log().requires_grad_()
    output = CrossEntropy()(scores_BK, targets_BK, torch.ones(1, 3, dtype=torch.bool), progress=0.0)
    (gradient_BK,) = torch.autograd.grad(output.per_example_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 3))
    torch.testing.assert_close(output.per_example_B.detach(), output.metrics["label_entropy"])
