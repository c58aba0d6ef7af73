"""The auxiliary confidence loss of Burns et al. 2023 (arXiv 2312.09390), and the traps of its public copies."""

import math

import pytest
import torch

from w2s_rm.errors import ConfigError
from w2s_rm.losses._base import harden, masked_log_softmax
from w2s_rm.losses.log_confidence import LogConfidence


def pairs(differences):
    """Scores of pairs whose log-odds for class 0 are `differences`."""
    difference_B = torch.as_tensor(differences, dtype=torch.float32)
    return torch.stack([difference_B, torch.zeros_like(difference_B)], dim=1)


def full(scores_BK):
    return torch.ones_like(scores_BK, dtype=torch.bool)


def thresholds(scores_NK):
    return LogConfidence().batch_statistics(scores_NK, torch.zeros_like(scores_NK), full(scores_NK))


def hardened_class(scores_BK, statistics):
    hardened_BK = harden(masked_log_softmax(scores_BK, full(scores_BK)), full(scores_BK), statistics)
    assert ((hardened_BK == 0) | (hardened_BK == 1)).all()
    return hardened_BK.argmax(dim=-1)


def test_hand_derived_number():
    # f = (3/4, 1/4), -ln f = (0.2876821, 1.3862944); w = (0.4, 0.6); hardened f = (1, 0).
    # CE(f, w) = 0.4 * 0.2876821 + 0.6 * 1.3862944 = 0.1150728 + 0.8317766 = 0.9468494; CE(f, hard f) = 0.2876821.
    # Progress 0.1 of a warm-up of 0.2 to 0.5: a = 0.25; L = 0.75 * 0.9468494 + 0.25 * 0.2876821 = 0.7820576.
    # After the warm-up: a = 0.5; L = 0.5 * (0.9468494 + 0.2876821) = 0.6172658.
    scores_BK, targets_BK = pairs([math.log(3.0)]), torch.tensor([[0.4, 0.6]])
    for progress, expected in ((0.0, 0.9468494), (0.1, 0.7820576), (0.2, 0.6172658), (1.0, 0.6172658)):
        output = LogConfidence()(scores_BK, targets_BK, full(scores_BK), progress=progress)
        torch.testing.assert_close(output.per_example_B, torch.tensor([expected]))
    assert {name: metric_B.item() for name, metric_B in output.metrics.items()} == pytest.approx(
        {"weak_cross_entropy": 0.9468494, "self_cross_entropy": 0.2876821, "overruled": 1.0, "confidence_weight": 0.5}
    )


def test_gradient_holds_the_hardened_prediction_fixed():
    # dL/ds = f - ((1 - a) w + a hard f) = (0.75, 0.25) - (0.5 * 0.4 + 0.5, 0.5 * 0.6) = (0.05, -0.05).
    scores_BK = pairs([math.log(3.0)]).requires_grad_()
    output = LogConfidence()(scores_BK, torch.tensor([[0.4, 0.6]]), full(scores_BK), progress=1.0)
    (gradient_BK,) = torch.autograd.grad(output.per_example_B.sum(), scores_BK)
    torch.testing.assert_close(gradient_BK, torch.tensor([[0.05, -0.05]]))


def test_warm_up_of_the_loss_is_continuous():
    """Trap: a ramp from 0 to 0.1 that then jumps to 1."""
    scores_BK, targets_BK = pairs([2.0]), torch.tensor([[0.1, 0.9]])
    losses = torch.stack(
        [
            LogConfidence()(scores_BK, targets_BK, full(scores_BK), progress=step / 1000).per_example_B[0]
            for step in range(1001)
        ]
    )
    # CE(f, w) - CE(f, hard f) = 0.9 * 2 for a log-odds of 2 (0.9 of the mass moves by 2 nats);
    # times the rise of a per step, 0.5 / 0.2 / 1000 = 0.0025: 0.0045.
    steps = losses[:-1] - losses[1:]
    torch.testing.assert_close(steps[:200], torch.full((200,), 0.0045), rtol=0.0, atol=1e-6)
    assert (steps[200:] == 0).all()


def test_no_warm_up_means_full_weight_at_once():
    scores_BK, targets_BK = pairs([1.0]), torch.tensor([[0.2, 0.8]])
    first, last = (
        LogConfidence(warmup_fraction=0.0)(scores_BK, targets_BK, full(scores_BK), progress=progress).per_example_B
        for progress in (0.0, 1.0)
    )
    assert torch.equal(first, last)


def test_two_class_thresholds_are_the_median_rule():
    # Log-odds -1, 0.5, 2, 3: the median is 1.25, so 2 and 3 harden to class 0, -1 and 0.5 to class 1.
    scores_NK = pairs([2.0, -1.0, 3.0, 0.5])
    statistics = thresholds(scores_NK)
    assert (statistics[0] - statistics[1]).item() == pytest.approx(1.25, abs=1e-6)
    assert hardened_class(scores_NK, statistics).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("size", [2, 7, 32, 33])
def test_two_class_thresholds_are_the_median_rule_for_any_batch(size):
    generator = torch.Generator().manual_seed(size)
    difference_N = 4 * torch.randn(size, generator=generator) + 3
    statistics = thresholds(pairs(difference_N))
    median = difference_N.quantile(0.5)
    assert (statistics[0] - statistics[1]).item() == pytest.approx(median.item(), abs=1e-5)
    decided_N = (difference_N - median).abs() > 1e-4
    expected_N = (difference_N < median).long()
    assert torch.equal(hardened_class(pairs(difference_N[decided_N]), statistics), expected_N[decided_N])


def test_one_example_in_k_lies_above_each_threshold():
    generator = torch.Generator().manual_seed(0)
    # A student that strongly prefers class 0.
    scores_NK = torch.randn(4000, 4, generator=generator) + torch.tensor([3.0, 0.0, 0.0, 0.0])
    log_probs_NK = torch.log_softmax(scores_NK, dim=-1)
    shares_K = (log_probs_NK > thresholds(scores_NK)).float().mean(dim=0)
    torch.testing.assert_close(shares_K, torch.full((4,), 0.25), rtol=0.0, atol=1e-3)


def test_thresholds_use_real_candidates_only():
    scores_NK = torch.tensor([[1.0, 0.0, 9.0], [0.0, 2.0, 9.0], [3.0, 0.0, 9.0]])
    mask_NK = torch.tensor([[True, True, False]] * 3)
    statistics = LogConfidence().batch_statistics(scores_NK, torch.zeros_like(scores_NK), mask_NK)
    expected_K = torch.cat([thresholds(scores_NK[:, :2]), torch.zeros(1)])
    torch.testing.assert_close(statistics, expected_K)


def test_thresholds_of_ragged_classes_skip_the_padding():
    scores_NK = torch.tensor([[1.0, 0.0, 2.0], [0.0, 2.0, 1.0], [3.0, 0.0, 9.0], [0.0, 1.0, 9.0]])
    mask_NK = torch.tensor([[True, True, True]] * 2 + [[True, True, False]] * 2)
    statistics = LogConfidence().batch_statistics(scores_NK, torch.zeros_like(scores_NK), mask_NK)
    # The third class exists in two examples: two thirds of the way from its lower log-probability to the higher.
    low, high = torch.log_softmax(scores_NK[:2], dim=-1)[:, 2].sort().values
    torch.testing.assert_close(statistics[2], low + (high - low) * 2 / 3)


def test_micro_batch_of_one_is_hardened_by_the_global_batch():
    """Trap: a threshold fitted inside a micro-batch of one always gives the same class."""
    scores_NK = pairs([5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.5, 0.1])
    statistics = thresholds(scores_NK)
    # Every label says class 0 and so does every argmax; the lower half of the batch is overruled all the same.
    targets_1K = torch.tensor([[1.0, 0.0]])
    overruled = [
        LogConfidence()(scores_1K, targets_1K, full(scores_1K), progress=1.0, statistics=statistics).metrics[
            "overruled"
        ]
        for scores_1K in scores_NK.split(1)
    ]
    assert torch.cat(overruled).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_global_batch_of_one_falls_back_to_the_most_probable():
    for difference, expected in ((2.0, 0), (-2.0, 1)):
        scores_NK = pairs([difference])
        assert hardened_class(scores_NK, thresholds(scores_NK)).tolist() == [expected]


def test_chosen_first_order_does_not_leak():
    """Trap: with every preferred response first, a student of noise must not be pushed towards the first one."""
    scores_BK = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
    targets_BK = torch.tensor([1.0, 0.0]).expand_as(scores_BK)
    output = LogConfidence()(scores_BK, targets_BK, full(scores_BK), progress=1.0)
    # 0.5 with a standard deviation of 0.5 / sqrt(10,000) = 0.005: four of them.
    assert output.metrics["overruled"].mean().item() == pytest.approx(0.5, abs=0.02)
    constant_BK = torch.zeros(3, 2)
    output = LogConfidence()(constant_BK, targets_BK[:3], full(constant_BK), progress=1.0)
    assert output.metrics["overruled"].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_weight": 1.5}, "max_weight is 1.5; give a number in [0, 1]"),
        ({"warmup_fraction": -0.1}, "warmup_fraction is -0.1; give a number in [0, 1]"),
        ({"max_weight": "5e-1"}, "max_weight is '5e-1'; give a number in [0, 1]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError) as error:
        LogConfidence(**options)
    assert message in str(error.value)
