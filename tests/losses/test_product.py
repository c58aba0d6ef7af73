"""The product loss of the public weak-to-strong code (github.com/openai/weak-to-strong, `product_loss_fn`)."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses.cross_entropy import CrossEntropy
from w2s_rm.losses.product import Product

MASK = torch.ones(1, 2, dtype=torch.bool)
TARGETS = torch.tensor([[0.4, 0.6]])


def scores():
    # f = (3/4, 1/4), -ln f = (0.2876821, 1.3862944).
    return torch.tensor([[math.log(3.0), 0.0]], requires_grad=True)


def test_hand_derived_number():
    # f w = (0.75 * 0.4, 0.25 * 0.6) = (0.30, 0.15), normalised g = (2/3, 1/3).
    # L = 2/3 * 0.2876821 + 1/3 * 1.3862944 = 0.1917880 + 0.4620981 = 0.6538862.
    # dL/ds = f - g = (3/4 - 2/3, 1/4 - 1/3) = (1/12, -1/12), g held fixed.
    scores_BK = scores()
    losses_B = Product()(scores_BK, TARGETS, MASK, progress=0.0).per_example_B
    torch.testing.assert_close(losses_B.detach(), torch.tensor([0.6538862]))
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.tensor([[1 / 12, -1 / 12]]))


def test_hand_derived_number_with_powers():
    # f w^2 = (0.75 * 0.16, 0.25 * 0.36) = (0.12, 0.09), normalised (4/7, 3/7).
    # L = 4/7 * 0.2876821 + 3/7 * 1.3862944 = 0.1643898 + 0.5941262 = 0.7585159.
    losses_B = Product(weak_power=2.0)(scores(), TARGETS, MASK, progress=0.0).per_example_B
    torch.testing.assert_close(losses_B.detach(), torch.tensor([0.7585159]))
    # f^2 w = (0.5625 * 0.4, 0.0625 * 0.6) = (0.225, 0.0375), normalised (6/7, 1/7).
    # L = 6/7 * 0.2876821 + 1/7 * 1.3862944 = 0.2465846 + 0.1980421 = 0.4446267.
    losses_B = Product(strong_power=2.0)(scores(), TARGETS, MASK, progress=0.0).per_example_B
    torch.testing.assert_close(losses_B.detach(), torch.tensor([0.4446267]))


def test_without_the_student_it_is_cross_entropy():
    product, plain = (
        loss(scores(), TARGETS, MASK, progress=0.0).per_example_B
        for loss in (Product(strong_power=0.0), CrossEntropy())
    )
    torch.testing.assert_close(product, plain)


def test_a_hard_label_wins_over_a_student_that_is_certain_of_the_opposite():
    # f_1 rounds to 0, so f w would be (0, 0) and the target 0/0; the label decides: L = 2e4.
    scores_BK = torch.tensor([[1e4, -1e4]])
    losses_B = Product()(scores_BK, torch.tensor([[0.0, 1.0]]), MASK, progress=0.0).per_example_B
    assert losses_B.tolist() == [2e4]


def test_an_undecided_label_leaves_the_student_where_it_is():
    scores_BK = scores()
    losses_B = Product()(scores_BK, torch.tensor([[0.5, 0.5]]), MASK, progress=0.0).per_example_B
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 2))


def test_bad_options():
    with pytest.raises(ConfigError) as error:
        Product(weak_power=0.0, strong_power=-1.0)
    assert "weak_power is 0.0; give a number in (0, inf)" in str(error.value)
    assert "strong_power is -1.0; give a number in [0, inf)" in str(error.value)
