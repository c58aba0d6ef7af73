"""What every loss of the catalog keeps, whatever its formula: a new file in `losses/` is picked up by itself."""

import dataclasses
import inspect

import pytest
import torch
import yaml
from torch import Tensor

from w2s_rm import catalog
from w2s_rm.types import Loss, LossOutput

NAMES = catalog.names("losses")
PAD = torch.finfo(torch.float32).min
Batch = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(params=NAMES)
def loss(request: pytest.FixtureRequest) -> Loss:
    return catalog.lookup("losses", request.param)()


def ragged_batch(sizes: list[int], width: int, seed: int = 0) -> Batch:
    """Scores, targets and mask of examples with `sizes` candidates each, padded to `width`."""
    generator = torch.Generator().manual_seed(seed)
    mask_BK = torch.arange(width) < torch.tensor(sizes)[:, None]
    scores_BK = (3 * torch.randn(len(sizes), width, generator=generator)).masked_fill(~mask_BK, PAD)
    logits_BK = 2 * torch.randn(len(sizes), width, generator=generator)
    return scores_BK, torch.softmax(logits_BK.masked_fill(~mask_BK, -torch.inf), dim=-1), mask_BK


def evaluate(loss: Loss, batch: Batch, progress: float, statistics: Tensor | None) -> tuple[Tensor, Tensor]:
    """Loss of each example, and the gradient of their sum with respect to the scores."""
    scores_BK = batch[0].clone().requires_grad_()
    output = loss(scores_BK, *batch[1:], progress=progress, statistics=statistics)
    (gradient_BK,) = torch.autograd.grad(output.per_example_B.sum(), scores_BK)
    return output.per_example_B.detach(), gradient_BK


def all_statistics(loss: Loss, batch: Batch) -> list[Tensor | None]:
    """Those of exchangeable candidates and, where the loss has any, those of fixed classes."""
    return [None, loss.batch_statistics(*batch)] if loss.needs_batch_statistics else [None]


def test_catalog_holds_the_published_losses():
    published = (
        "confidence_window cross_entropy entropy generalized_cross_entropy label_smoothing log_confidence product"
    )
    assert set(NAMES) >= {*published.split(), "reverse_kl"}


def test_is_a_frozen_dataclass_with_the_signature_of_the_protocol(loss):
    assert dataclasses.is_dataclass(loss)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.anything = 1
    assert inspect.signature(type(loss).__call__) == inspect.signature(Loss.__call__)


def test_docstring_names_its_source_and_every_option(loss):
    text = inspect.getdoc(type(loss))
    assert "Source: " in text
    for field in dataclasses.fields(loss):
        assert f"{field.name} (`float`, *optional*, defaults to `{field.default}`)" in text


def test_options_round_trip_through_yaml(loss):
    options = yaml.safe_load(yaml.safe_dump(dataclasses.asdict(loss)))
    assert type(loss)(**options) == loss


def test_statistics_may_stand_there_once_for_each_example(loss):
    """Linear models with several penalties are trained together, each with the statistics of its own scores."""
    batches = [ragged_batch([4] * 6, width=4, seed=seed) for seed in (0, 1)]
    for both in zip(*(all_statistics(loss, batch) for batch in batches), strict=True):
        together = None if both[0] is None else torch.stack(both).repeat_interleave(6, dim=0)
        joined = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
        alone = [evaluate(loss, batch, 0.7, one) for batch, one in zip(batches, both, strict=True)]
        for found, expected in zip(evaluate(loss, joined, 0.7, together), zip(*alone, strict=True), strict=True):
            torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [[2], [5], [2, 3, 4, 5], [2] * 7])
@pytest.mark.parametrize("progress", [0.0, 0.1, 1.0])
def test_one_finite_loss_and_gradient_for_each_example(loss, sizes, progress):
    batch = ragged_batch(sizes, width=max(sizes))
    for statistics in all_statistics(loss, batch):
        output = loss(*batch, progress=progress, statistics=statistics)
        assert isinstance(output, LossOutput)
        per_example_B, gradient_BK = evaluate(loss, batch, progress, statistics)
        assert per_example_B.shape == (len(sizes),)
        assert per_example_B.isfinite().all()
        assert gradient_BK.isfinite().all()


def test_metrics_are_finite_per_example_and_detached(loss):
    scores_BK, targets_BK, mask_BK = ragged_batch([2, 3, 4, 5], width=5)
    metrics = loss(scores_BK.requires_grad_(), targets_BK, mask_BK, progress=0.5).metrics
    assert metrics
    for metric_B in metrics.values():
        assert metric_B.shape == (4,)
        assert metric_B.isfinite().all()
        assert not metric_B.requires_grad


def test_does_not_change_its_inputs(loss):
    batch = ragged_batch([2, 3, 4, 5], width=5)
    copies = [tensor.clone() for tensor in batch]
    for statistics in all_statistics(loss, batch):
        loss(*batch, progress=0.5, statistics=statistics)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(batch, copies, strict=True))


def test_padding_changes_neither_loss_nor_gradient(loss):
    batch = ragged_batch([3] * 6, width=3)
    padding = torch.zeros(6, 2)
    fills = (padding + PAD, padding, padding.bool())
    padded = tuple(torch.cat([tensor, fill], dim=1) for tensor, fill in zip(batch, fills, strict=True))
    for bare, wide in zip(all_statistics(loss, batch), all_statistics(loss, padded), strict=True):
        expected_B, expected_BK = evaluate(loss, batch, 0.5, bare)
        per_example_B, gradient_BK = evaluate(loss, padded, 0.5, wide)
        torch.testing.assert_close(per_example_B, expected_B, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient_BK[:, :3], expected_BK, rtol=1e-6, atol=1e-6)
        assert (gradient_BK[:, 3:] == 0).all()


def test_exchangeable_candidates_may_be_permuted(loss):
    batch = ragged_batch([2, 3, 4, 5, 5, 4], width=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    expected_B, expected_BK = evaluate(loss, batch, 0.5, None)
    per_example_B, gradient_BK = evaluate(loss, tuple(tensor[:, order] for tensor in batch), 0.5, None)
    torch.testing.assert_close(per_example_B, expected_B, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient_BK, expected_BK[:, order], rtol=1e-6, atol=1e-6)


def test_equal_scores_favour_no_position(loss):
    """A head that starts at zero, labels that say nothing: no candidate may be pushed because it comes first."""
    scores_BK, mask_BK = torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool)
    _, gradient_BK = evaluate(loss, (scores_BK, mask_BK / 4, mask_BK), 1.0, None)
    torch.testing.assert_close(gradient_BK, torch.zeros(1, 4))


def test_micro_batches_of_one_add_up_to_the_batch(loss):
    """The trainer splits the global batch and hands its statistics to each part."""
    scores_BK, targets_BK, mask_BK = ragged_batch([3] * 8, width=3)
    # A student that prefers the first class, so that thresholds of the batch differ from those of its parts.
    batch = (scores_BK + torch.tensor([6.0, 0.0, 0.0]), targets_BK, mask_BK)
    for statistics in all_statistics(loss, batch):
        expected_B, expected_BK = evaluate(loss, batch, 0.5, statistics)
        parts = [evaluate(loss, tuple(t[i : i + 1] for t in batch), 0.5, statistics) for i in range(8)]
        torch.testing.assert_close(torch.cat([part[0] for part in parts]), expected_B, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(torch.cat([part[1] for part in parts]), expected_BK, rtol=1e-6, atol=1e-6)


def test_shifting_all_scores_of_an_example_changes_nothing(loss):
    scores_BK, targets_BK, mask_BK = ragged_batch([3] * 4, width=3)
    # A quarter is exact in float32, and so is the sum at these sizes but for rounding of the scores themselves.
    shifted = (scores_BK + 0.25, targets_BK, mask_BK)
    expected_B, _ = evaluate(loss, (scores_BK, targets_BK, mask_BK), 0.5, None)
    per_example_B, _ = evaluate(loss, shifted, 0.5, None)
    torch.testing.assert_close(per_example_B, expected_B, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("progress", [0.0, 0.1, 1.0])
def test_gradients_stay_finite_at_extremes(loss, progress):
    rows = [
        [1e4, -1e4, PAD],
        [-1e4, 1e4, PAD],
        [1e4, 1e4, -1e4],
        [0.0, 0.0, 0.0],
        [1e4, 1e4 - 1, 1e4 - 100],
        [-1e4, 0.0, 1e4],
    ]
    scores_BK = torch.tensor(rows)
    mask_BK = scores_BK != PAD
    for gold in range(2):
        hard_BK = torch.nn.functional.one_hot(torch.full((len(rows),), gold), 3).float()
        for targets_BK in (hard_BK, mask_BK / mask_BK.sum(dim=-1, keepdim=True)):
            batch = (scores_BK, targets_BK, mask_BK)
            for statistics in all_statistics(loss, batch):
                per_example_B, gradient_BK = evaluate(loss, batch, progress, statistics)
                assert per_example_B.isfinite().all()
                assert gradient_BK.isfinite().all()
                assert (gradient_BK[~mask_BK] == 0).all()


def test_statistics_exist_exactly_where_announced(loss):
    statistics = loss.batch_statistics(*ragged_batch([3] * 8, width=3))
    assert (statistics is not None) == loss.needs_batch_statistics
    if statistics is not None:
        assert statistics.isfinite().all()


def test_a_loss_that_says_it_is_convex_is(loss):
    """What is minimised over all examples at once has one minimum, which neither progress nor a batch moves."""
    if not loss.convex:
        return
    assert not loss.needs_batch_statistics
    for seed in range(20):
        scores_BK, targets_BK, mask_BK = ragged_batch([2, 3, 4, 5], width=5, seed=seed)
        other_BK, _, _ = ragged_batch([2, 3, 4, 5], width=5, seed=seed + 100)
        ends_B = [evaluate(loss, (end_BK, targets_BK, mask_BK), 1.0, None)[0] for end_BK in (scores_BK, other_BK)]
        middle_BK = ((scores_BK + other_BK) / 2).masked_fill(~mask_BK, PAD)
        middle_B, _ = evaluate(loss, (middle_BK, targets_BK, mask_BK), 1.0, None)
        assert (middle_B <= sum(ends_B) / 2 + 1e-5).all()
        assert torch.equal(evaluate(loss, (scores_BK, targets_BK, mask_BK), 0.0, None)[0], ends_B[0])
