"""The shared parts of the losses: masked log-probabilities, hardening, warm-up, checks of options."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses._base import Interval, check_options, entropy, harden, masked_log_softmax, warmed_up


def test_masked_log_softmax_ignores_what_the_padding_holds():
    mask_BK = torch.tensor([[True, True, False]])
    # Real scores ln 3 and 0: f = (3/4, 1/4).
    expected = torch.tensor([[math.log(0.75), math.log(0.25), 0.0]])
    for padding in (torch.finfo(torch.float32).min, 0.0, 1e30):
        scores_BK = torch.tensor([[math.log(3.0), 0.0, padding]])
        torch.testing.assert_close(masked_log_softmax(scores_BK, mask_BK), expected)


def test_entropy_counts_real_candidates_only():
    scores_BK = torch.zeros(2, 3)
    mask_BK = torch.tensor([[True, True, False], [True, True, True]])
    # Uniform over 2 and over 3: ln 2 and ln 3.
    expected_B = torch.tensor([math.log(2), math.log(3)])
    torch.testing.assert_close(entropy(masked_log_softmax(scores_BK, mask_BK), mask_BK), expected_B)


def test_harden_takes_the_most_probable_candidate():
    mask_BK = torch.tensor([[True, True, True], [True, True, False]])
    log_probs_BK = masked_log_softmax(torch.tensor([[0.0, 2.0, 1.0], [3.0, -1.0, 9.0]]), mask_BK)
    assert harden(log_probs_BK, mask_BK).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_harden_shares_the_mass_between_ties():
    mask_BK = torch.tensor([[True, True, True], [True, True, False]])
    log_probs_BK = masked_log_softmax(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), mask_BK)
    assert harden(log_probs_BK, mask_BK).tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]


def test_harden_compares_with_the_thresholds():
    mask_BK = torch.ones(1, 2, dtype=torch.bool)
    log_probs_BK = torch.tensor([[0.75, 0.25]]).log()
    # Margins ln 0.75 - ln 0.9 = -0.182 and ln 0.25 - ln 0.1 = 0.916.
    assert harden(log_probs_BK, mask_BK, torch.tensor([0.9, 0.1]).log()).tolist() == [[0.0, 1.0]]


def test_harden_carries_no_gradient():
    scores_BK = torch.tensor([[1.0, 0.0]], requires_grad=True)
    mask_BK = torch.ones(1, 2, dtype=torch.bool)
    assert not harden(masked_log_softmax(scores_BK, mask_BK), mask_BK).requires_grad


def test_warm_up_is_linear_and_then_constant():
    # max_weight 0.5 over the first fifth: at 0.05 a quarter of it, at 0.1 half of it.
    weights = [warmed_up(0.5, 0.2, progress) for progress in (0.0, 0.05, 0.1, 0.2, 0.6, 1.0)]
    assert weights == pytest.approx([0.0, 0.125, 0.25, 0.5, 0.5, 0.5])


def test_warm_up_does_not_jump():
    # 10,000 steps; the steepest rise is 0.5 / 0.2 / 10,000 = 2.5e-4 per step.
    weights = [warmed_up(0.5, 0.2, step / 10_000) for step in range(10_001)]
    rises = [after - before for before, after in zip(weights, weights[1:], strict=False)]
    assert max(rises) == pytest.approx(2.5e-4, rel=1e-6)
    assert min(rises) >= 0


def test_warm_up_of_zero_is_constant():
    assert [warmed_up(0.5, 0.0, progress) for progress in (0.0, 0.5, 1.0)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Interval(0, 1), [0, 0.5, 1], [-0.1, 1.1, math.nan, "0.5", None, True]),
        (Interval(0, 0.5, open_low=True, open_high=True), [0.01, 0.49], [0, 0.5]),
        (Interval(0, math.inf, open_high=True), [0, 1e9], [math.inf, -1]),
    ],
)
def test_interval(interval, inside, outside):
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)


def test_check_options_reports_all_mistakes_at_once():
    with pytest.raises(ConfigError) as error:
        check_options("some", ("a", 2, Interval(0, 1)), ("b", 0.5, Interval(0, 1)), ("c", "1e-1", Interval(0, 3)))
    lines = str(error.value).splitlines()
    assert lines == [
        "loss 'some': invalid options",
        "  - a is 2; give a number in [0, 1]",
        "  - c is '1e-1'; give a number in [0, 3]",
    ]
