"""Generalized cross-entropy, Zhang and Sabuncu 2018 (arXiv 1805.07836)."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses.cross_entropy import CrossEntropy
from w2s_rm.losses.generalized_cross_entropy import GeneralizedCrossEntropy

MASK = torch.ones(1, 2, dtype=torch.bool)


def run(loss, scores_BK, targets_BK):
    scores_BK = scores_BK.clone().requires_grad_()
    losses_B = loss(scores_BK, targets_BK, MASK, progress=0.0).per_example_B
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    return losses_B.detach(), gradient_BK


def scores():
    return torch.tensor([[math.log(3.0), 0.0]])


def test_hand_derived_number():
    # f = (3/4, 1/4), q = 0.5: (1 - sqrt(0.75)) / 0.5 = 0.2679492 and (1 - sqrt(0.25)) / 0.5 = 1.
    # w = (0.4, 0.6): 0.4 * 0.2679492 + 0.6 = 0.7071797.
    losses_B, _ = run(GeneralizedCrossEntropy(q=0.5), scores(), torch.tensor([[0.4, 0.6]]))
    torch.testing.assert_close(losses_B, torch.tensor([0.7071797]))


def test_hand_derived_number_with_the_default():
    # q = 0.7, hard label 1: f = 1/4, 0.25^0.7 = exp(-0.7 * 1.3862944) = exp(-0.9704061) = 0.3789291.
    # L = (1 - 0.3789291) / 0.7 = 0.8872441.
    losses_B, _ = run(GeneralizedCrossEntropy(), scores(), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(losses_B, torch.tensor([0.8872441]))


def test_hard_gradient_is_that_of_cross_entropy_times_the_probability_to_the_q():
    # Cross-entropy: f - w = (0.75, -0.75); times 0.25^0.5 = 0.5.
    _, gradient_BK = run(GeneralizedCrossEntropy(q=0.5), scores(), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(gradient_BK, torch.tensor([[0.375, -0.375]]))


def test_one_is_half_the_absolute_error():
    losses_B, _ = run(GeneralizedCrossEntropy(q=1.0), scores(), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(losses_B, torch.tensor([0.75]))


def test_small_q_is_cross_entropy():
    targets_BK = torch.tensor([[0.4, 0.6]])
    small_B, _ = run(GeneralizedCrossEntropy(q=1e-6), scores(), targets_BK)
    torch.testing.assert_close(small_B, run(CrossEntropy(), scores(), targets_BK)[0], rtol=1e-5, atol=1e-6)


def test_minimum_for_a_soft_label_is_sharper_than_the_label():
    # f proportional to w^(1 / (1 - q)): q = 0.5 and w = (0.75, 0.25) give (0.5625, 0.0625), normalised (0.9, 0.1).
    targets_BK = torch.tensor([[0.75, 0.25]])
    loss = GeneralizedCrossEntropy(q=0.5)
    lowest_B, gradient_BK = run(loss, torch.tensor([[0.9, 0.1]]).log(), targets_BK)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 2))
    for other in ([0.88, 0.12], [0.92, 0.08]):
        assert run(loss, torch.tensor([other]).log(), targets_BK)[0] > lowest_B


@pytest.mark.parametrize("q", [0.0, 1.1, float("nan")])
def test_bad_exponent(q):
    with pytest.raises(ConfigError) as error:
        GeneralizedCrossEntropy(q)
    assert f"q is {q}; give a number in (0, 1]" in str(error.value)
