"""Linear models on features: equal to scikit-learn's where it has the same, and what they do with bad features."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from w2s_rm.errors import ArtifactError, DataError, NonFiniteError
from w2s_rm.features.fitting import (
    Problem,
    Schedule,
    fit_convex,
    fit_in_batches,
    make_problem,
    measure_scale,
)
from w2s_rm.features.linear_model import LinearModel, load_models, save_models, unscaled
from w2s_rm.features.store import FeatureTable
from w2s_rm.losses._base import LossBase
from w2s_rm.training.config import build_loss
from w2s_rm.types import LossOutput

PENALTIES = [1.0, 0.1, 0.01]
LOSS = build_loss("cross_entropy")
SCHEDULE = Schedule(learning_rate=0.01, epochs=60, batch_size=50, seed=0, exchangeable=True)


def features(count: int, width: int = 12, seed: int = 0) -> Tensor:
    """Correlated features of different sizes, as a model has them."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(width) + 0.5 * torch.randn(width, width, generator=generator)
    return torch.randn(count, width, generator=generator) @ mixing * torch.logspace(-2, 2, width) + 3.0


def problem(counts: list[int], targets: list[tuple[float, ...]], *, classes: bool = False) -> tuple[Problem, Any]:
    table = FeatureTable(features(sum(counts)), counts)
    scale = measure_scale(table.values_FD, "features")
    return make_problem(table, scale, targets, None, classes=classes), scale


def soft_labels(rows: int, width: int, seed: int = 1) -> list[tuple[float, ...]]:
    generator = torch.Generator().manual_seed(seed)
    return [tuple(row) for row in torch.softmax(2 * torch.randn(rows, width, generator=generator), dim=1).tolist()]


def repeated(values: Any, targets: list[tuple[float, ...]]) -> dict[str, Any]:
    """Soft labels as scikit-learn takes them: each row once for each class, weighted."""
    width = len(targets[0])
    return {
        "X": np.repeat(values, width, axis=0),
        "y": np.tile(np.arange(width), len(targets)),
        "sample_weight": np.array(targets).ravel(),
    }


@pytest.mark.parametrize("number", range(len(PENALTIES)))
def test_pairs_are_scikit_learns_logistic_regression_on_differences(number: int) -> None:
    count = 200
    targets = soft_labels(count, 2)
    pairs, _ = problem([2] * count, targets)
    fit = fit_convex(pairs, LOSS, PENALTIES)[number]
    differences = (pairs.values_FD[1::2] - pairs.values_FD[0::2]).numpy()
    theirs = LogisticRegression(C=1 / (count * PENALTIES[number]), fit_intercept=False, tol=1e-12, max_iter=100_000)
    theirs.fit(**repeated(differences, targets))
    np.testing.assert_allclose(fit.weights_OD[0].numpy(), theirs.coef_[0], atol=1e-6)
    scores_BK = pairs.scores(fit.weights_OD, fit.bias_O)
    np.testing.assert_allclose(torch.softmax(scores_BK, dim=1), theirs.predict_proba(differences), atol=1e-6)


@pytest.mark.parametrize("number", range(len(PENALTIES)))
def test_classes_are_scikit_learns_multinomial_regression(number: int) -> None:
    count = 150
    targets = soft_labels(count, 3)
    three, _ = problem([1] * count, targets, classes=True)
    fit = fit_convex(three, LOSS, PENALTIES)[number]
    theirs = LogisticRegression(C=1 / (count * PENALTIES[number]), tol=1e-12, max_iter=100_000)
    theirs.fit(**repeated(three.values_FD.numpy(), targets))
    np.testing.assert_allclose(fit.weights_OD.numpy(), theirs.coef_, atol=1e-6)
    # Of intercepts a constant is free.
    np.testing.assert_allclose(fit.bias_O - fit.bias_O.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-6)


def test_two_classes_have_half_the_penalty_of_one_vector() -> None:
    # |w/2|² + |w/2|² = |w|²/2.
    count = 150
    targets = soft_labels(count, 2)
    two, _ = problem([1] * count, targets, classes=True)
    (fit,) = fit_convex(two, LOSS, [0.1])
    theirs = LogisticRegression(C=2 / (count * 0.1), tol=1e-12, max_iter=100_000)
    theirs.fit(**repeated(two.values_FD.numpy(), targets))
    np.testing.assert_allclose((fit.weights_OD[1] - fit.weights_OD[0]).numpy(), theirs.coef_[0], atol=1e-6)


def test_each_penalty_is_fitted_as_it_is_alone() -> None:
    pairs, _ = problem([2] * 100, soft_labels(100, 2))
    for fit, l2 in zip(fit_convex(pairs, LOSS, PENALTIES), PENALTIES, strict=True):
        torch.testing.assert_close(fit.weights_OD, fit_convex(pairs, LOSS, [l2])[0].weights_OD, rtol=0, atol=1e-6)


def at_zero(given: Problem) -> Tensor:
    """The second derivative of the mean cross-entropy at weights of 0, by automatic differentiation."""
    outputs, width = given.outputs, given.values_FD.shape[1]

    def loss(flat: Tensor) -> Tensor:
        return given.loss(LOSS, given.scores(flat.view(outputs, width), torch.zeros(outputs).double()), 1.0)

    return torch.autograd.functional.hessian(loss, torch.zeros(outputs * width).double())


def test_curvature_is_the_second_derivative_at_weights_of_zero() -> None:
    counts = [2, 3, 5] * 20
    targets = [tuple(1.0 if k == 0 else 0.0 for k in range(count)) for count in counts]
    candidates, _ = problem(counts, targets)
    torch.testing.assert_close(candidates.curvature(), at_zero(candidates))
    classes, _ = problem([1] * 60, soft_labels(60, 3), classes=True)
    # Along weights of the classes that add up to 0.
    direction_O = torch.tensor([1.0, -2.0, 1.0]).double()
    whole = at_zero(classes).view(3, 12, 3, 12)
    along_DD = torch.einsum("o,odpe,p->de", direction_O, whole, direction_O) / direction_O.square().sum()
    torch.testing.assert_close(classes.curvature(), along_DD)


def test_candidates_in_any_number_minimise_the_loss() -> None:
    counts = [2, 5, 3] * 30
    targets = [soft_labels(1, count, seed)[0] for seed, count in enumerate(counts)]
    ragged, _ = problem(counts, targets)
    (fit,) = fit_convex(ragged, LOSS, [0.1])
    weights_OD = fit.weights_OD.clone().requires_grad_()
    value = ragged.loss(LOSS, ragged.scores(weights_OD, fit.bias_O), 1.0) + 0.05 * weights_OD.square().sum()
    (gradient_OD,) = torch.autograd.grad(value, weights_OD)
    assert float(gradient_OD.abs().max()) < 1e-7 and float(fit.weights_OD.detach().abs().max()) > 0.01


def test_steps_in_batches_come_near_the_minimum() -> None:
    counts = [2, 3] * 100
    targets = [soft_labels(1, count, seed)[0] for seed, count in enumerate(counts)]
    ragged, _ = problem(counts, targets)
    exact, stepped = fit_convex(ragged, LOSS, PENALTIES), fit_in_batches(ragged, LOSS, PENALTIES, SCHEDULE)
    for one, other, l2 in zip(exact, stepped, PENALTIES, strict=True):
        values = [
            float(
                ragged.loss(LOSS, ragged.scores(fit.weights_OD, fit.bias_O), 1.0)
                + l2 / 2 * fit.weights_OD.square().sum()
            )
            for fit in (one, other)
        ]
        assert values[0] <= values[1] < values[0] + 2e-3
    again = fit_in_batches(ragged, LOSS, PENALTIES[1:2], SCHEDULE)[0]
    # Penalties are fitted side by side, and do not know of each other.
    torch.testing.assert_close(again.weights_OD, stepped[1].weights_OD)


def test_a_loss_gets_its_statistics_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    two, _ = problem([1] * 60, soft_labels(60, 2), classes=True)
    loss = build_loss({"name": "log_confidence", "max_weight": 0.9})
    schedule = Schedule(learning_rate=0.01, epochs=2, batch_size=20, seed=0, exchangeable=False)
    seen = []
    original = type(loss).__call__

    def watched(self: Any, *given: Any, progress: float, statistics: Tensor | None) -> Any:
        seen.append((progress, statistics))
        return original(self, *given, progress=progress, statistics=statistics)

    monkeypatch.setattr(type(loss), "__call__", watched)
    fit_in_batches(two, loss, [0.1], schedule)
    assert [progress for progress, _ in seen] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert all(statistics is not None and statistics.shape == (20, 2) for _, statistics in seen)
    seen.clear()
    fit_in_batches(two, loss, [0.1], Schedule(0.01, 1, 20, 0, exchangeable=True))
    assert all(statistics is None for _, statistics in seen)


def test_each_step_has_the_statistics_of_its_own_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    two, _ = problem([1] * 60, soft_labels(60, 2), classes=True)
    loss = build_loss({"name": "log_confidence", "max_weight": 0.9})
    original, seen = type(loss).__call__, []

    def watched(self: Any, scores_BK: Tensor, *others: Tensor, progress: float, statistics: Tensor) -> Any:
        # Two models, one for each penalty, each with its own.
        both = [[part[places] for part in (scores_BK.detach(), *others)] for places in (slice(0, 20), slice(20, 40))]
        taken = [loss.batch_statistics(*one) for one in both]
        torch.testing.assert_close(statistics, torch.stack([taken[0]] * 20 + [taken[1]] * 20))
        seen.append(taken)
        return original(self, scores_BK, *others, progress=progress, statistics=statistics)

    monkeypatch.setattr(type(loss), "__call__", watched)
    fit_in_batches(two, loss, [1.0, 0.1], Schedule(0.01, 2, 20, 0, exchangeable=False))
    # All scores are 0 at first, then no longer, nor the same with one penalty as with the other.
    torch.testing.assert_close(seen[0], [torch.full((2,), -math.log(2), dtype=torch.float64)] * 2)
    assert not torch.allclose(seen[0][0], seen[-1][0]) and not torch.allclose(*seen[-1])


def test_all_examples_are_seen_alike_in_an_order_that_the_seed_gives() -> None:
    targets = soft_labels(50, 2)
    pairs, _ = problem([2] * 50, targets)
    orders = []

    class Watched(LossBase):
        def __call__(self, scores_BK: Tensor, targets_BK: Tensor, mask_BK: Tensor, **others: Any) -> LossOutput:
            orders[-1] += [targets.index(tuple(row)) for row in targets_BK.tolist()]
            return LOSS(scores_BK, targets_BK, mask_BK, **others)

    for seed in (0, 0, 1):
        orders.append([])
        # 50 are no multiple of 20: a batch goes over the end of an epoch.
        fit_in_batches(pairs, Watched(), [0.1], Schedule(0.01, 4, 20, seed, exchangeable=True))
        assert set(Counter(orders[-1]).values()) == {4}
        assert sorted(orders[-1][:50]) == list(range(50)) and orders[-1][:50] != orders[-1][50:100]
    assert orders[0] == orders[1] != orders[2]


def test_steps_over_all_examples_end_at_the_minimum() -> None:
    pairs, _ = problem([2] * 100, soft_labels(100, 2))
    exact = fit_convex(pairs, LOSS, PENALTIES)
    stepped = fit_in_batches(pairs, LOSS, PENALTIES, Schedule(0.02, 500, 100, 0, exchangeable=True))
    for one, other in zip(exact, stepped, strict=True):
        torch.testing.assert_close(other.weights_OD, one.weights_OD, rtol=0, atol=1e-3)


def test_steps_become_smaller_to_the_end() -> None:
    class Slope(LossBase):
        def __call__(self, scores_BK: Tensor, *given: Tensor, **others: Any) -> LossOutput:
            return LossOutput(scores_BK[:, 0] - scores_BK[:, 1], {})

    pairs, _ = problem([2] * 10, soft_labels(10, 2))
    (fit,) = fit_in_batches(pairs, Slope(), [0.0], Schedule(0.01, 4, 10, 0, exchangeable=True))
    # Where the gradient stays, a step of Adam is the learning rate: 0.01 x (1 + 3/4 + 2/4 + 1/4).
    expected = torch.full_like(fit.weights_OD, 0.025)
    torch.testing.assert_close(fit.weights_OD.abs(), expected, rtol=1e-5, atol=0)
    assert fit.steps == 4


def test_a_batch_has_the_margins_of_its_examples() -> None:
    table, margins = FeatureTable(features(12), [2] * 6), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    scale = measure_scale(table.values_FD, "features")
    whole = make_problem(table, scale, [(1.0, 0.0)] * 6, margins, classes=False)
    part = whole.take(torch.tensor([4, 1]))
    assert part.margins_B is not None and part.margins_B.tolist() == [4.0, 1.0]
    assert torch.equal(part.values_FD, whole.values_FD[[8, 9, 2, 3]])


def test_margins_are_taken_off_the_first_candidate() -> None:
    table, targets = FeatureTable(features(80), [2] * 40), [(1.0, 0.0)] * 40
    scale = measure_scale(table.values_FD, "features")
    plain, with_margins = (
        make_problem(table, scale, targets, margins, classes=False) for margins in (None, [1.0] * 40)
    )
    scores_BK = torch.zeros(40, 2, dtype=torch.float64)
    assert float(plain.loss(LOSS, scores_BK, 1.0)) == pytest.approx(math.log(2))
    assert float(with_margins.loss(LOSS, scores_BK, 1.0)) == pytest.approx(math.log(1 + math.e))


def test_what_does_not_vary_says_nothing_and_nothing_that_varies_is_refused() -> None:
    values_FD = features(40)
    values_FD[:, 3] = 7.0
    scale = measure_scale(values_FD, "features")
    assert float(scale.std_D[3]) == 1.0 and scale(values_FD)[:, 3].abs().max() == 0
    standardised = scale(values_FD)
    kept = [column for column in range(12) if column != 3]
    torch.testing.assert_close(standardised[:, kept].std(dim=0, correction=0), torch.ones(11, dtype=torch.float64))
    with pytest.raises(DataError, match=r"shards: mean\.4: all 12 features are the same for all 40 rows"):
        measure_scale(torch.full((40, 12), 0.3), "shards: mean.4")


def test_features_of_other_candidates_are_refused() -> None:
    table = FeatureTable(features(6), [2, 2, 2])
    with pytest.raises(DataError, match="features are those of other candidates"):
        make_problem(table, measure_scale(table.values_FD, "x"), [(0.5, 0.5), (0.2, 0.3, 0.5)], None, classes=False)


@pytest.mark.parametrize("case", ["a constant feature", "more features than pairs"])
def test_without_a_penalty_flat_directions_are_left_alone(case: str) -> None:
    """The loss says nothing of them; its minimum is the entropy of labels that some weights give exactly."""
    count = 100 if case == "a constant feature" else 8
    targets, values_FD = soft_labels(count, 2), features(2 * count)
    if case == "a constant feature":
        values_FD[:, 3] = 7.0
    table = FeatureTable(values_FD, [2] * count)
    made = make_problem(table, measure_scale(table.values_FD, "features"), targets, None, classes=False)
    (fit,) = fit_convex(made, LOSS, [0.0])
    assert bool(fit.weights_OD.isfinite().all())
    if case == "a constant feature":
        assert float(fit.weights_OD[0, 3].abs()) < 1e-6 < 1e-2 < float(fit.weights_OD[0, 2].abs())
        kept = [index for index in range(values_FD.shape[1]) if index != 3]
        fewer = FeatureTable(values_FD[:, kept], [2] * count)
        plain = make_problem(fewer, measure_scale(fewer.values_FD, "features"), targets, None, classes=False)
        torch.testing.assert_close(
            fit.weights_OD[:, kept], fit_convex(plain, LOSS, [0.0])[0].weights_OD, rtol=1e-5, atol=1e-6
        )
    else:
        scores_BK = made.scores(fit.weights_OD, fit.bias_O)
        torch.testing.assert_close(
            torch.softmax(scores_BK, dim=1), torch.tensor(targets, dtype=torch.float64), rtol=0, atol=1e-5
        )


def test_a_loss_that_is_not_finite_stops() -> None:
    pairs, _ = problem([2] * 10, [(math.nan, 1.0)] * 10)
    with pytest.raises(NonFiniteError, match="the loss became nan with l2 0.1; give a larger l2"):
        fit_convex(pairs, LOSS, [0.1])
    with pytest.raises(NonFiniteError, match="step 1: the loss is nan"):
        fit_in_batches(pairs, LOSS, [0.1], SCHEDULE)


@pytest.mark.parametrize("classes", [False, True])
def test_a_saved_model_reads_features_as_they_are(classes: bool, tmp_path: Path) -> None:
    targets = soft_labels(30, 2)
    fitted, scale = problem([1 if classes else 2] * 30, targets, classes=classes)
    fits = fit_convex(fitted, LOSS, PENALTIES)
    models = [unscaled(fit, scale, "mean.4", l2, classes=classes) for fit, l2 in zip(fits, PENALTIES, strict=True)]
    save_models(tmp_path / "probe.safetensors", models, 1, {"mean.4": scale})
    read, chosen = load_models(tmp_path / "probe.safetensors")
    assert chosen == 1 and [(model.column, model.l2) for model in read] == [("mean.4", l2) for l2 in PENALTIES]
    table = FeatureTable(features(30 if classes else 60), [1 if classes else 2] * 30)
    expected = fitted.scores(fits[2].weights_OD, fits[2].bias_O)
    scores = torch.tensor(read[2].scores(table), dtype=torch.float64)
    torch.testing.assert_close(torch.softmax(scores, dim=1), torch.softmax(expected, dim=1))
    # The mean training candidate has a score of 0.
    assert classes or float(scores.mean()) == pytest.approx(0.0, abs=1e-9)
    (tmp_path / "probe.safetensors").write_bytes(b"cut")
    with pytest.raises(ArtifactError, match="probe.safetensors: cannot be read"):
        load_models(tmp_path / "probe.safetensors")


def test_the_same_features_have_the_same_score_wherever_they_stand() -> None:
    one = features(1)
    model = LinearModel("last.1", 0.1, features(1, seed=3).double(), torch.zeros(1).double(), False)
    (scores,) = model.scores(FeatureTable(one.repeat(37, 1), [37]))
    assert len(set(scores)) == 1
