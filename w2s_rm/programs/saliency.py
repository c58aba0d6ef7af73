"""Fit a linear model to whether a supervisor is wrong, by what a frozen model makes of the examples.

Penalty and layer are chosen by folds of the examples that are fitted to; nothing is known of the test examples but
their features. An example is the mean of its candidates' features: it does not say which of them the supervisor
prefers, nor in which order they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_store import join_labels, read_labels
from w2s_rm.data.predictions import write_predictions
from w2s_rm.features.fitting import fit_convex, make_problem, measure_scale
from w2s_rm.features.linear_model import LinearModel, unscaled
from w2s_rm.features.options import column
from w2s_rm.features.store import FeatureTable, read_features
from w2s_rm.programs.launched import held, read_config, refuse_finished
from w2s_rm.programs.probe import cross_entropy
from w2s_rm.runs.progress import Reporter
from w2s_rm.training.config import build_loss
from w2s_rm.types import Example, Predictions, hash_fraction

FOLDS = 5


def saliency(argv: Sequence[str]) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        examples, test = (read_examples(Path(config[name])) for name in ("examples", "test_examples"))
        wrong = mistakes(examples, config["labels"])
        known = [place for place, one in enumerate(wrong) if one is not None]
        data = _Known([examples[place] for place in known], [float(wrong[place] or 0.0) for place in known])
        counts: dict[str, Any] = {"examples": len(known), "mistakes": sum(data.wrong)}
        # Right and wrong, as probable as each other.
        scores: list[tuple[float, ...]] = [(0.0, 0.0)] * len(test)
        # Without enough of both kinds nothing is known of mistakes, and nothing is said.
        if FOLDS <= counts["mistakes"] <= len(known) - FOLDS:
            chosen, path = _chosen(config, data, Reporter(output, "layers"))
            scores = chosen.scores(read_means(config["test_features"], chosen.column, test))
            counts |= {"column": chosen.column, "l2": chosen.l2, "path": path}
        # Without gold: the two candidates here are right and wrong, and not those of the example.
        said = Predictions(tuple(example.id for example in test), tuple(scores), (None,) * len(test))
        write_predictions(folder.path / "predictions.parquet", [said])
        folder.finish(stage="saliency", counts=counts, config=config)


class _Known:
    """Examples of which it is known how far the supervisor is wrong, in folds of whole groups."""

    def __init__(self, examples: Sequence[Example], wrong: Sequence[float]) -> None:
        self.examples, self.wrong = examples, wrong
        self.targets = [(1 - one, one) for one in wrong]
        # By a hash of its own: by the one that draws splits, groups of one split would crowd into few folds.
        self.folds_B = torch.tensor([int(FOLDS * hash_fraction("saliency", example.group)) for example in examples])


def mistakes(examples: Sequence[Example], labels: str) -> list[float | None]:
    """Say of each example how far its label is wrong: 0, 1, or the share of wrong ones among the most probable.

    Args:
        examples (`Sequence[Example]`): The examples.
        labels (`str`): File of their labels.

    Returns:
        `list[float | None]`: `None` where the truth is not known.
    """
    found: list[float | None] = []
    for example, label in zip(examples, join_labels(examples, read_labels(Path(labels)), source=labels), strict=True):
        best = [place for place, share in enumerate(label) if share == max(label)]
        found.append(None if example.gold is None else 1 - (example.gold in best) / len(best))
    return found


def read_means(features: str, name: str, examples: Sequence[Example]) -> FeatureTable:
    """Read features of examples, each the mean over its candidates.

    Args:
        features (`str`): Folder of the shards.
        name (`str`): The column.
        examples (`Sequence[Example]`): Which.
    """
    table = read_features(Path(features), name, [example.id for example in examples])
    means = torch.stack([part.mean(dim=0) for part in table.values_FD.split(table.counts)])
    return FeatureTable(means, [1] * len(examples))


def _chosen(config: dict[str, Any], data: _Known, report: Reporter) -> tuple[LinearModel, list[dict[str, Any]]]:
    """The model of the layer and penalty that predict the folds left out best, fitted to all."""
    path, tables = [], {}
    for done, layer in enumerate(config["layers"], start=1):
        name = column(layer, config["pooling"])
        # Kept of all layers, a vector for each example: the best one is fitted once more.
        tables[name] = read_means(config["features"], name, data.examples)
        path += [
            {"column": name, "l2": l2, "held_out_loss": loss}
            for l2, loss in zip(config["l2"], _held_out(data, tables[name], name, config["l2"]), strict=True)
        ]
        report(done, len(config["layers"]))
    best = min(path, key=lambda tried: float(tried["held_out_loss"]))
    every_B = torch.ones(len(data.wrong), dtype=torch.bool)
    (model,) = _fitted(data, tables[best["column"]], str(best["column"]), [best["l2"]], every_B)
    return model, path


def _held_out(data: _Known, table: FeatureTable, name: str, penalties: Sequence[float]) -> list[float]:
    """For each penalty the mean cross-entropy on the folds that were left out, nats."""
    totals = [0.0] * len(penalties)
    for fold in range(FOLDS):
        out_B = data.folds_B == fold
        targets = [target for target, out in zip(data.targets, out_B.tolist(), strict=True) if out]
        # A few large groups may leave a fold empty, or fill one with everything.
        if not targets or bool(out_B.all()):
            continue
        for place, model in enumerate(_fitted(data, table, name, penalties, ~out_B)):
            totals[place] += len(targets) * cross_entropy(model.scores(_taken(table, out_B)), targets)
    return [total / len(data.wrong) for total in totals]


def _fitted(
    data: _Known, table: FeatureTable, name: str, penalties: Sequence[float], kept_B: Tensor
) -> list[LinearModel]:
    taken = _taken(table, kept_B)
    # Of what is kept alone: of a fold that is left out nothing may be known, its scale neither.
    scale = measure_scale(taken.values_FD, name)
    targets = [target for target, kept in zip(data.targets, kept_B.tolist(), strict=True) if kept]
    # Right and wrong as two classes, for these have intercepts, which take up how frequent mistakes are.
    problem = make_problem(taken, scale, targets, None, classes=True)
    fits = fit_convex(problem, build_loss({"name": "cross_entropy"}), penalties)
    return [unscaled(fit, scale, name, l2, classes=True) for fit, l2 in zip(fits, penalties, strict=True)]


def _taken(table: FeatureTable, kept_B: Tensor) -> FeatureTable:
    return FeatureTable(table.values_FD[kept_B], [1] * int(kept_B.sum()))
