"""Label smoothing, Szegedy et al. 2016 (arXiv 1512.00567), section 7."""

import math

import pytest
import torch
from torch.nn import functional as F

from w2s_rm.errors import ConfigError
from w2s_rm.losses.label_smoothing import LabelSmoothing


def test_hand_derived_number():
    # f = (3/4, 1/4), -ln f = (0.2876821, 1.3862944). w = (1, 0) becomes (0.9 + 0.05, 0.05).
    # L = 0.95 * 0.2876821 + 0.05 * 1.3862944 = 0.2732980 + 0.0693147 = 0.3426127.
    # The third candidate is padding: smoothing spreads over two.
    scores_BK = torch.tensor([[math.log(3.0), 0.0, torch.finfo(torch.float32).min]])
    mask_BK = torch.tensor([[True, True, False]])
    losses_B = LabelSmoothing()(scores_BK, torch.tensor([[1.0, 0.0, 0.0]]), mask_BK, progress=0.0).per_example_B
    torch.testing.assert_close(losses_B, torch.tensor([0.3426127]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_the_label_smoothing_of_torch(smoothing):
    generator = torch.Generator().manual_seed(0)
    scores_BK = torch.randn(20, 5, generator=generator)
    targets_BK = torch.softmax(torch.randn(20, 5, generator=generator), dim=-1)
    mask_BK = torch.ones_like(scores_BK, dtype=torch.bool)
    losses_B = LabelSmoothing(smoothing)(scores_BK, targets_BK, mask_BK, progress=0.0).per_example_B
    expected_B = F.cross_entropy(scores_BK, targets_BK, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(losses_B, expected_B)


def test_minimum_is_the_smoothed_label():
    # 0.8 * (0.7, 0.2, 0.1) + 0.2 / 3 = (0.6266667, 0.2266667, 0.1466667).
    scores_BK = torch.tensor([[0.6266667, 0.2266667, 0.1466667]]).log().requires_grad_()
    mask_BK = torch.ones(1, 3, dtype=torch.bool)
    losses_B = LabelSmoothing(0.2)(scores_BK, torch.tensor([[0.7, 0.2, 0.1]]), mask_BK, progress=0.0).per_example_B
    (gradient_BK,) = torch.autograd.grad(losses_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 3), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_bad_smoothing(smoothing):
    with pytest.raises(ConfigError) as error:
        LabelSmoothing(smoothing)
    assert f"smoothing is {smoothing}; give a number in [0, 1)" in str(error.value)
