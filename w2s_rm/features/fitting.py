"""Fit linear models to frozen features, with any loss over candidates and the same labels as any training.

Shape suffixes: B examples, K candidates, F things that have features (candidates, or prompts), in one flat row, D width
of features, O outputs: one that all candidates share, or one for each class, P models that
differ in their penalty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_rm.errors import DataError, NonFiniteError
from w2s_rm.features.store import FeatureTable
from w2s_rm.training.mixin import less_margins
from w2s_rm.types import Loss

# A bound that no fit should reach: it ends where the gradient is flat, which for a convex loss is the minimum.
_MOST_STEPS = 20_000
_FLAT = 1e-9
_FLATTEST, _LEAST = 1e-8, 1e-30


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of features over the examples that a model is trained on.

    Args:
        mean_D (`Tensor` of shape `(D,)`): Float64.
        std_D (`Tensor` of shape `(D,)`): Float64; 1 for features that do not vary, which say nothing.
    """

    mean_D: Tensor
    std_D: Tensor

    def __call__(self, values_FD: Tensor) -> Tensor:
        """Standardise, in float64."""
        return (values_FD.double() - self.mean_D) / self.std_D


def measure_scale(values_FD: Tensor, source: str) -> Scale:
    """Measure mean and standard deviation.

    Args:
        values_FD (`Tensor` of shape `(F, D)`): Features of the training examples.
        source (`str`): What they are, for the message.

    Raises:
        DataError: None of them varies.
    """
    values_FD = values_FD.double()
    std_D = values_FD.std(dim=0, correction=0)
    # Relative to their size: divided by so small a deviation, differences of rounding would be as large as any other
    # feature.
    varies_D = std_D > 1e-6 * values_FD.abs().amax(dim=0)
    if not bool(varies_D.any()):
        raise DataError(
            f"{source}: all {len(std_D)} features are the same for all {len(values_FD)} rows, so nothing can be "
            "learned from them; read another layer, or another pooling"
        )
    return Scale(values_FD.mean(dim=0), torch.where(varies_D, std_D, 1.0))


@dataclass(frozen=True)
class Problem:
    """Examples with their features and targets, ready to be fitted.

    Args:
        values_FD (`Tensor` of shape `(F, D)`): Standardised features, float64.
        mask_BK (`Tensor` of shape `(B, K)`): Which candidates are real.
        targets_BK (`Tensor` of shape `(B, K)`): Labels, float64.
        margins_B (`Tensor` of shape `(B,)`, *optional*): As in [`~w2s_rm.training.mixin.less_margins`].
        classes (`bool`): Whether each class has weights of its own, on the features of the prompt, and an intercept.
            Otherwise all candidates share one vector of weights, and an intercept would say nothing.
    """

    values_FD: Tensor
    mask_BK: Tensor
    targets_BK: Tensor
    margins_B: Tensor | None
    classes: bool

    @property
    def outputs(self) -> int:
        """Number of weight vectors."""
        return self.mask_BK.shape[1] if self.classes else 1

    def take(self, examples_B: Tensor) -> Problem:
        """Return some of the examples.

        Args:
            examples_B (`Tensor` of shape `(B,)`): Their places.
        """
        rows = examples_B
        if not self.classes:
            # Of each real candidate its row in `values_FD`: how many real ones come before it.
            places_BK = (self.mask_BK.flatten().cumsum(0) - 1).view(self.mask_BK.shape)
            rows = places_BK[examples_B][self.mask_BK[examples_B]]
        margins_B = None if self.margins_B is None else self.margins_B[examples_B]
        return Problem(
            self.values_FD[rows], self.mask_BK[examples_B], self.targets_BK[examples_B], margins_B, self.classes
        )

    def scores(self, weights_OD: Tensor, bias_O: Tensor) -> Tensor:
        """Score the candidates, shape `(B, K)`; the lowest number there is stands at padding.

        Args:
            weights_OD (`Tensor` of shape `(O, D)`): On the standardised features.
            bias_O (`Tensor` of shape `(O,)`): Intercepts.
        """
        if self.classes:
            return self.values_FD @ weights_OD.T + bias_O
        values_F = self.values_FD @ weights_OD[0]
        padding = torch.finfo(values_F.dtype).min
        return torch.full(self.mask_BK.shape, padding, dtype=values_F.dtype).masked_scatter(self.mask_BK, values_F)

    def curvature(self) -> Tensor:
        """Return the second derivative of cross-entropy at weights of 0, shape `(D, D)`.

        All K candidates are equally probable there, so it is the mean over examples of the covariance of their
        features. Where each class has weights of its own, it is 1/K of the mean product of the prompts' features, in
        every direction in which the weights of all classes add up to 0; in others nothing changes.
        """
        if self.classes:
            return self.values_FD.T @ self.values_FD / (len(self.values_FD) * self.outputs)
        counts_B = self.mask_BK.sum(dim=1)
        owner_F = torch.repeat_interleave(torch.arange(len(counts_B)), counts_B)
        sums_BD = torch.zeros(len(counts_B), self.values_FD.shape[1], dtype=torch.float64)
        means_BD = sums_BD.index_add_(0, owner_F, self.values_FD) / counts_B[:, None]
        # The root of the count, because the product below takes it twice: each candidate weighs 1/K.
        centred_FD = (self.values_FD - means_BD[owner_F]) / counts_B[owner_F, None].sqrt()
        return centred_FD.T @ centred_FD / len(counts_B)

    def scores_of_each(self, weights_POD: Tensor, bias_PO: Tensor) -> Tensor:
        """Score the candidates with each of P models, shape `(P, B, K)`, otherwise as [`scores`].

        Args:
            weights_POD (`Tensor` of shape `(P, O, D)`): On the standardised features.
            bias_PO (`Tensor` of shape `(P, O)`): Intercepts.
        """
        if self.classes:
            return self.values_FD @ weights_POD.transpose(1, 2) + bias_PO[:, None]
        values_PF = weights_POD[:, 0] @ self.values_FD.T
        shape, padding = (len(values_PF), *self.mask_BK.shape), torch.finfo(values_PF.dtype).min
        # The mask is the same for every model: `masked_scatter` takes it as often as there are, and the values in this
        # order.
        return torch.full(shape, padding, dtype=values_PF.dtype).masked_scatter(self.mask_BK, values_PF)

    def loss(self, loss: Loss, scores_BK: Tensor, progress: float) -> Tensor:
        """Return the mean loss of one model, of a loss that takes no statistics.

        Args:
            loss ([`~w2s_rm.types.Loss`]): Which one.
            scores_BK (`Tensor` of shape `(B, K)`): From [`scores`].
            progress (`float`): Share of training that is done.
        """
        return self.losses(loss, scores_BK[None], progress, exchangeable=True)[0]

    def losses(self, loss: Loss, scores_PBK: Tensor, progress: float, *, exchangeable: bool) -> Tensor:
        """Return the mean loss of each of P models, shape `(P,)`.

        Args:
            loss ([`~w2s_rm.types.Loss`]): Which one.
            scores_PBK (`Tensor` of shape `(P, B, K)`): From [`scores_of_each`].
            progress (`float`): Share of training that is done.
            exchangeable (`bool`): Whether candidates have no fixed meaning, so that the loss takes no statistics.
        """
        count, statistics = len(scores_PBK), None
        if loss.needs_batch_statistics and not exchangeable:
            taken = [
                loss.batch_statistics(scores_BK, self.targets_BK, self.mask_BK) for scores_BK in scores_PBK.detach()
            ]
            statistics_PK = torch.stack([of_model for of_model in taken if of_model is not None])
            # Thresholds of a model beside each of its examples, for the loss sees one long batch of P x B examples.
            statistics = statistics_PK.repeat_interleave(len(self.mask_BK), dim=0)
        margins_B = None if self.margins_B is None else self.margins_B.repeat(count)
        compared_BK = less_margins(scores_PBK.flatten(0, 1), margins_B)
        targets_BK, mask_BK = self.targets_BK.repeat(count, 1), self.mask_BK.repeat(count, 1)
        output = loss(compared_BK, targets_BK, mask_BK, progress=progress, statistics=statistics)
        return output.per_example_B.view(count, -1).mean(dim=1)


def make_problem(
    table: FeatureTable,
    scale: Scale,
    targets: Sequence[Sequence[float]],
    margins: Sequence[float] | None,
    *,
    classes: bool,
) -> Problem:
    """Put features and labels together.

    Args:
        table ([`~w2s_rm.features.store.FeatureTable`]): Features of the examples.
        scale ([`Scale`]): Of the training examples.
        targets (`Sequence[Sequence[float]]`): A distribution for each example.
        margins (`Sequence[float]`, *optional*): Of each example.
        classes (`bool`): As in [`Problem`].

    Raises:
        DataError: An example has other candidates than its features.
    """
    counts = [len(target) for target in targets]
    if table.counts != ([1] * len(counts) if classes else counts):
        raise DataError("the features are those of other candidates; delete their folder and run the recipe again")
    mask_BK = torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]
    flat = torch.tensor([share for target in targets for share in target], dtype=torch.float64)
    targets_BK = torch.zeros(mask_BK.shape, dtype=torch.float64).masked_scatter(mask_BK, flat)
    margins_B = None if margins is None else torch.tensor(margins, dtype=torch.float64)
    return Problem(scale(table.values_FD), mask_BK, targets_BK, margins_B, classes)


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Args:
        weights_OD (`Tensor` of shape `(O, D)`): On the standardised features, float64.
        bias_O (`Tensor` of shape `(O,)`): Intercepts.
        steps (`int`): Steps of the optimizer.
    """

    weights_OD: Tensor
    bias_O: Tensor
    steps: int


def fit_convex(problem: Problem, loss: Loss, penalties: Sequence[float]) -> list[Fit]:
    """Minimise a convex loss over all examples at once, with L-BFGS in float64; a model for each penalty.

        J(W) = mean loss + l2/2 |W|²

    Intercepts are not penalised. With cross-entropy this is logistic regression. Each fit begins where the one before
    ended: from one penalty to the next the way is short. Steps go along the axes of the curvature at weights of 0.

    Args:
        problem ([`Problem`]): The examples.
        loss ([`~w2s_rm.types.Loss`]): A convex one.
        penalties (`Sequence[float]`): Values of `l2`, the largest first.

    Raises:
        NonFiniteError: The loss is not finite.
    """
    from scipy.optimize import minimize

    outputs, width = problem.outputs, problem.values_FD.shape[1]
    size = outputs * width
    # Once for all penalties: a penalty adds the same to every axis, and turns none.
    curvature_D, axes_DD = torch.linalg.eigh(problem.curvature())

    def value(flat: NDArray[np.float64], l2: float, scale_D: Tensor) -> tuple[float, NDArray[np.float64]]:
        # A copy, because torch shares an array's memory, which is scipy's to write to.
        parameters = torch.from_numpy(flat.copy()).requires_grad_()
        # From steps along the axes, in their units, back to weights on features.
        weights_OD = (parameters[:size].view(outputs, width) * scale_D) @ axes_DD.T
        scores_BK = problem.scores(weights_OD, parameters[size:])
        total = problem.loss(loss, scores_BK, 1.0) + 0.5 * l2 * weights_OD.square().sum()
        (gradient,) = torch.autograd.grad(total, parameters)
        return float(total.detach()), gradient.numpy()

    # Not by how little the loss falls (`ftol`), which stops early where it is flat in some direction. 30 pairs of steps
    # and gradients are remembered in place of 10: they are cheap beside a pass over the examples.
    limits = {"maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS, "ftol": 0.0, "gtol": _FLAT, "maxcor": 30}
    weights_OD, bias_O = torch.zeros(outputs, width, dtype=torch.float64), torch.zeros(outputs, dtype=torch.float64)
    fits = []
    for l2 in penalties:
        # Along these axes, in these units, the loss is about as curved one way as another near weights of 0. Features
        # of a layer go together: ETHICS justice in layer 1 of MiniLM takes 49 steps for six penalties, 404 without.
        # Along some the loss may be flat (a constant feature, more features than examples): without a penalty their
        # unit would be infinite, and a rounding error a long step.
        scale_D = (curvature_D.clamp(min=0.0) + l2).clamp(min=max(_FLATTEST * float(curvature_D.max()), _LEAST)).rsqrt()
        # The last fit in the units of this one: the penalty has changed the scale.
        start = torch.cat([(weights_OD @ axes_DD / scale_D).flatten(), bias_O]).numpy()
        solution = minimize(value, start, (l2, scale_D), jac=True, method="L-BFGS-B", options=limits)
        if not math.isfinite(solution.fun):
            raise NonFiniteError(
                f"the loss became {solution.fun} with l2 {l2:g}; give a larger l2, or look at the labels"
            )
        flat = torch.from_numpy(solution.x.copy())
        weights_OD, bias_O = (flat[:size].view(outputs, width) * scale_D) @ axes_DD.T, flat[size:]
        fits.append(Fit(weights_OD, bias_O, int(solution.nit)))
    return fits


@dataclass(frozen=True)
class Schedule:
    """How a loss is minimised that is not convex, or needs statistics of a batch: with Adam, in ever smaller steps.

    Args:
        learning_rate (`float`): Of the first step; it falls to 0.
        epochs (`float`): How often every example is seen.
        batch_size (`int`): Examples in a step.
        seed (`int`): Of the order of examples.
        exchangeable (`bool`): Whether candidates have no fixed meaning, so that there is no class prior to take.
    """

    learning_rate: float
    epochs: float
    batch_size: int
    seed: int
    exchangeable: bool


def fit_in_batches(problem: Problem, loss: Loss, penalties: Sequence[float], schedule: Schedule) -> list[Fit]:
    """Minimise any loss step by step, in float64, from weights of 0; a model for each penalty, all on the same batches.

    Args:
        problem ([`Problem`]): The examples.
        loss ([`~w2s_rm.types.Loss`]): The loss.
        penalties (`Sequence[float]`): As `l2` in [`fit_convex`].
        schedule ([`Schedule`]): How.

    Raises:
        NonFiniteError: The loss is not finite.
    """
    outputs, width, count = problem.outputs, problem.values_FD.shape[1], len(problem.targets_BK)
    weights_POD = torch.zeros(len(penalties), outputs, width, dtype=torch.float64, requires_grad=True)
    bias_PO = torch.zeros(len(penalties), outputs, dtype=torch.float64, requires_grad=True)
    l2_P = torch.tensor(penalties, dtype=torch.float64)
    batch_size = min(schedule.batch_size, count)
    steps = max(1, math.ceil(schedule.epochs * count / batch_size))
    optimizer = torch.optim.Adam([weights_POD, bias_PO], lr=schedule.learning_rate, foreach=True)
    generator = torch.Generator().manual_seed(schedule.seed)
    order_B = torch.empty(0, dtype=torch.long)
    # The models are independent: of a sum of their losses each gets the gradient of its own, and Adam takes numbers one
    # by one. Six together cost half to a third of one after the other, which is mostly the time to start operations.
    for step in range(steps):
        # What an epoch leaves over begins the next batch, so that all batches are of one size and statistics of as many
        # examples.
        if len(order_B) < batch_size:
            order_B = torch.cat([order_B, torch.randperm(count, generator=generator)])
        batch, order_B = problem.take(order_B[:batch_size]), order_B[batch_size:]
        scores_PBK = batch.scores_of_each(weights_POD, bias_PO)
        total = batch.losses(loss, scores_PBK, step / steps, exchangeable=schedule.exchangeable).sum()
        total = total + (0.5 * l2_P * weights_POD.square().sum(dim=(1, 2))).sum()
        value = float(total.detach())
        if not math.isfinite(value):
            raise NonFiniteError(f"step {step + 1}: the loss is {value}; lower the learning rate")
        optimizer.param_groups[0]["lr"] = schedule.learning_rate * (1 - step / steps)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return [
        Fit(weights_OD, bias_O, steps)
        for weights_OD, bias_O in zip(weights_POD.detach(), bias_PO.detach(), strict=True)
    ]
