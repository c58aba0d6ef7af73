"""Entropy minimisation, Grandvalet and Bengio 2004."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses.entropy import Entropy

MASK = torch.ones(1, 2, dtype=torch.bool)
TARGETS = torch.tensor([[0.4, 0.6]])


def loss_and_gradient(loss, progress):
    # f = (3/4, 1/4), -ln f = (0.2876821, 1.3862944).
    scores_BK = torch.tensor([[math.log(3.0), 0.0]], requires_grad=True)
    losses_B = loss(scores_BK, TARGETS, MASK, progress=progress).per_example_B
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    return losses_B.item(), gradient_BK


def test_hand_derived_number():
    # CE(f, w) = 0.4 * 0.2876821 + 0.6 * 1.3862944 = 0.9468494.
    # H(f) = 0.75 * 0.2876821 + 0.25 * 1.3862944 = 0.2157616 + 0.3465736 = 0.5623351.
    # a = 0: 0.9468494; a = 0.25 (half of the warm-up): 0.7101371 + 0.1405838 = 0.8507209; a = 0.5: 0.7545923.
    for progress, expected in ((0.0, 0.9468494), (0.1, 0.8507209), (0.2, 0.7545923), (1.0, 0.7545923)):
        assert loss_and_gradient(Entropy(), progress)[0] == pytest.approx(expected, abs=1e-6)


def test_gradient_of_the_entropy_sharpens_the_prediction():
    # dH/ds_k = -f_k (ln f_k + H): for the first -0.75 * (-0.2876821 + 0.5623351) = -0.2059898, for the second +.
    # With max_weight 1 the loss is H alone; descent raises the score of the candidate that leads.
    _, gradient_BK = loss_and_gradient(Entropy(max_weight=1.0), 1.0)
    torch.testing.assert_close(gradient_BK, torch.tensor([[-0.2059898, 0.2059898]]))


def test_gradient_is_more_than_a_smaller_learning_rate():
    """Trap: with one factor of H detached the gradient is just (1 - a) times that of cross-entropy."""
    # (1 - a)(f - w) + a dH/ds = 0.5 * (0.75 - 0.4) - 0.5 * 0.2059898 = 0.175 - 0.1029949 = 0.0720051.
    _, gradient_BK = loss_and_gradient(Entropy(), 1.0)
    torch.testing.assert_close(gradient_BK, torch.tensor([[0.0720051, -0.0720051]]))


def test_minimum_without_entropy_weight_is_the_label():
    scores_BK = TARGETS.log().requires_grad_()
    losses_B = Entropy(max_weight=0.0)(scores_BK, TARGETS, MASK, progress=1.0).per_example_B
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 2))


def test_bad_options():
    with pytest.raises(ConfigError) as error:
        Entropy(max_weight=-1, warmup_fraction=2)
    assert "max_weight is -1; give a number in [0, 1]" in str(error.value)
    assert "warmup_fraction is 2; give a number in [0, 1]" in str(error.value)
