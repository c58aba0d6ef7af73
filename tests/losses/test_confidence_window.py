"""The confidence window of github.com/EleutherAI/w2s."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses.confidence_window import ConfidenceWindow


def run(loss, probabilities_BK, targets_BK):
    scores_BK = torch.tensor(probabilities_BK).log().requires_grad_()
    mask_BK = torch.ones_like(scores_BK, dtype=torch.bool)
    output = loss(scores_BK, torch.tensor(targets_BK), mask_BK, progress=0.0)
    (gradient_BK,) = torch.autograd.grad(output.per_example_B.sum(), scores_BK)
    return output.per_example_B.detach(), gradient_BK, output.metrics["inside_window"].tolist()


def test_hand_derived_number():
    # Radius 0.15: learned from below max f = 0.65. f = (0.6, 0.4) is inside, f = (0.75, 0.25) outside.
    # w = (0.4, 0.6): -0.4 ln 0.6 - 0.6 ln 0.4 = 0.4 * 0.5108256 + 0.6 * 0.9162907 = 0.2043302 + 0.5497744 = 0.7541047.
    # Gradient inside: f - w = (0.2, -0.2); outside: nothing.
    losses_B, gradient_BK, inside = run(ConfidenceWindow(), [[0.6, 0.4], [0.75, 0.25]], [[0.4, 0.6], [0.4, 0.6]])
    torch.testing.assert_close(losses_B, torch.tensor([0.7541047, 0.0]))
    torch.testing.assert_close(gradient_BK, torch.tensor([[0.2, -0.2], [0.0, 0.0]]))
    assert inside == [1.0, 0.0]


@pytest.mark.parametrize(
    ("radius", "best", "inside"), [(0.1, 0.59, 1.0), (0.1, 0.61, 0.0), (0.3, 0.79, 1.0), (0.3, 0.81, 0.0)]
)
def test_window_of_two_candidates_ends_at_half_plus_radius(radius, best, inside):
    for row in ([best, 1 - best], [1 - best, best]):
        assert run(ConfidenceWindow(radius), [row], [[0.5, 0.5]])[2] == [inside]


def test_window_of_three_candidates():
    # Chance 1/3, certainty 1: the window ends at 1/3 + 2 * 0.15 * 2/3 = 0.5333.
    rows = [[0.53, 0.30, 0.17], [0.54, 0.30, 0.16]]
    assert run(ConfidenceWindow(), rows, [[0.2, 0.3, 0.5]] * 2)[2] == [1.0, 0.0]


def test_window_counts_real_candidates_only():
    # Two real candidates of three: chance is 1/2 and the window ends at 0.65, not at 0.5333.
    scores_BK = torch.tensor([[math.log(0.6), math.log(0.4), torch.finfo(torch.float32).min]])
    mask_BK = torch.tensor([[True, True, False]])
    output = ConfidenceWindow()(scores_BK, torch.tensor([[0.5, 0.5, 0.0]]), mask_BK, progress=0.0)
    assert output.metrics["inside_window"].tolist() == [1.0]


def test_radius_above_half_keeps_even_a_certain_student():
    certain = [[1.0 - 1e-7, 1e-7]]
    assert run(ConfidenceWindow(0.51), certain, [[0.0, 1.0]])[2] == [1.0]
    assert run(ConfidenceWindow(0.49), certain, [[0.0, 1.0]])[2] == [0.0]


@pytest.mark.parametrize("radius", [0.0, 1.5, "midweak"])
def test_bad_radius(radius):
    with pytest.raises(ConfigError) as error:
        ConfidenceWindow(radius)
    assert f"radius is {radius!r}; give a number in (0, 1]" in str(error.value)
