"""Train linear models on the features of a frozen one, choose one on the validation split, and score with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from w2s_rm.data.distributions import log_softmax
from w2s_rm.data.examples import read_examples
from w2s_rm.features.fitting import (
    Fit,
    Problem,
    Scale,
    Schedule,
    fit_convex,
    fit_in_batches,
    make_problem,
    measure_scale,
)
from w2s_rm.features.linear_model import LinearModel, load_models, save_models, unscaled
from w2s_rm.features.options import column, parse_column
from w2s_rm.features.store import FeatureTable, read_features
from w2s_rm.heads import HEADS
from w2s_rm.programs.launched import held, read_config, refuse_finished
from w2s_rm.programs.targets import known_accuracy, training_margins, training_targets
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.places import LINEAR_MODEL
from w2s_rm.runs.progress import Reporter
from w2s_rm.training.config import build_loss
from w2s_rm.types import Example

# Of the counts of the stage that read the features: what reports look for where a model reads examples itself.
_ENCODING = ("tokens", "cut_prompts", "cut_candidates", "candidates_alike")


def probe(argv: Sequence[str]) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        fitting = _Fitting(config)
        models: list[LinearModel] = []
        scales: dict[str, Scale] = {}
        path: list[dict[str, Any]] = []
        report = Reporter(output, "layers")
        for done, layer in enumerate(config["layers"], start=1):
            name = column(layer, config["pooling"])
            # One column after the other: features of one layer are in memory at a time.
            scales[name], fitted = fitting.fit(name)
            for model, figures in fitted:
                models.append(model)
                path.append({"layer": layer, "l2": model.l2, **figures})
            report(done, len(config["layers"]))
        chosen = _best(path)
        save_models(output / LINEAR_MODEL, models, chosen, scales)
        counts = {
            "examples": fitting.count,
            **feature_counts(config["features"]),
            "layer": path[chosen]["layer"],
            "l2": path[chosen]["l2"],
            "path": path,
        }
        folder.finish(stage="probe", counts=counts, config=config)


class _Split:
    """Examples with their labels, and where their features are."""

    def __init__(self, features: str, examples: str, labels: str | None) -> None:
        self.features = Path(features)
        self.examples = read_examples(Path(examples))
        self.targets = training_targets(self.examples, labels, examples)
        self.margins = training_margins(self.examples, labels)

    def read(self, name: str) -> FeatureTable:
        return read_features(self.features, name, [example.id for example in self.examples])


class _Fitting:
    """The data of a stage, from which models are fitted to one column of features after the other.

    Args:
        config (`Mapping`): The stage's config.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._loss = build_loss(dict(config["loss"]))
        self._classes = HEADS[config["head"]].needs_classes
        self._train = _Split(config["features"], config["examples"], config.get("labels"))
        self._validation = None
        if config.get("validation_features") is not None:
            labels = config.get("validation_labels")
            self._validation = _Split(config["validation_features"], config["validation_examples"], labels)

    @property
    def count(self) -> int:
        """Number of training examples."""
        return len(self._train.examples)

    def fit(self, name: str) -> tuple[Scale, list[tuple[LinearModel, dict[str, Any]]]]:
        """Fit a model for each penalty, the largest first, and say how each does.

        Args:
            name (`str`): The column of features.
        """
        train, figures = self._train, self._held_out(name)
        table = train.read(name)
        scale = measure_scale(table.values_FD, f"{train.features}: {name}")
        problem = make_problem(table, scale, train.targets, train.margins, classes=self._classes)
        fitted: list[tuple[LinearModel, dict[str, Any]]] = []
        for l2, fit in zip(self._config["l2"], self._fits(problem), strict=True):
            model = unscaled(fit, scale, name, l2, classes=self._classes)
            # With the scores that the saved model gives, and by cross-entropy whatever was minimised: so models of
            # different losses and penalties compare.
            loss = cross_entropy(model.scores(table), train.targets)
            fitted.append((model, {"steps": fit.steps, "train_loss": loss, **figures(model)}))
        return scale, fitted

    def _fits(self, problem: Problem) -> list[Fit]:
        config = self._config
        if config["convex"]:
            return fit_convex(problem, self._loss, config["l2"])
        schedule = Schedule(
            learning_rate=config["learning_rate"],
            epochs=config["num_train_epochs"],
            batch_size=config["batch_size"],
            seed=config["seed"],
            exchangeable=config.get("classes") is None,
        )
        return fit_in_batches(problem, self._loss, config["l2"], schedule)

    def _held_out(self, name: str) -> Callable[[LinearModel], dict[str, Any]]:
        """Say of a model how it does on the validation split, if there is one."""
        split = self._validation
        if split is None:
            return lambda model: {}
        # Once for all penalties of the layer.
        table = split.read(name)

        def figures(model: LinearModel) -> dict[str, Any]:
            scores = model.scores(table)
            loss = cross_entropy(scores, split.targets)
            return {"validation_loss": loss, "validation_accuracy": known_accuracy(scores, split.examples)}

        return figures


def _best(path: Sequence[Mapping[str, Any]]) -> int:
    """Place of the model that fits the labels of the validation split best."""
    # One model is no choice, and there need not be a validation split.
    if len(path) == 1:
        return 0
    # Of equal ones the first: of the layer that is named first, with its largest penalty.
    return min(range(len(path)), key=lambda number: path[number]["validation_loss"])


def feature_counts(features: str) -> dict[str, Any]:
    """Return what was counted when features were read, as far as reports ask for it.

    Args:
        features (`str`): Folder of the shards.
    """
    counts = StageFolder(Path(features).parent).manifest()["counts"]
    return {name: counts[name] for name in _ENCODING}


def cross_entropy(scores: Sequence[Sequence[float]], targets: Sequence[Sequence[float]]) -> float:
    """Return the mean cross-entropy of labels with the softmax of scores, nats.

    Args:
        scores (`Sequence[Sequence[float]]`): Of the candidates of each example.
        targets (`Sequence[Sequence[float]]`): A distribution for each.
    """
    return fmean(
        -sum(share * log for share, log in zip(target, log_softmax(row), strict=True))
        for row, target in zip(scores, targets, strict=True)
    )


def score_features(
    probe_file: str, features: str, examples: Sequence[Example]
) -> tuple[list[tuple[float, ...]], dict[str, Any]]:
    """Score examples with a linear model, by their features.

    Args:
        probe_file (`str`): What the stage made.
        features (`str`): Folder of the shards.
        examples (`Sequence[Example]`): What to score.

    Returns:
        The scores of each example, and for the manifest: which model was chosen, and the accuracy of all.
    """
    models, chosen = load_models(Path(probe_file))
    ids = [example.id for example in examples]
    path: list[dict[str, Any]] = []
    scores: list[tuple[float, ...]] = []
    # Of one column after the other, as they were saved: no more is held than one layer.
    for name, alike in itertools.groupby(enumerate(models), key=lambda numbered: numbered[1].column):
        table, (layer, _) = read_features(Path(features), name, ids), parse_column(name)
        for number, model in alike:
            own = model.scores(table)
            # Of all models and not only of the chosen one: reports draw accuracy over layers and penalties.
            path.append({"layer": layer, "l2": model.l2, "accuracy": known_accuracy(own, examples)})
            if number == chosen:
                scores = own
    counts = {"examples": len(examples), **feature_counts(features), "path": path}
    return scores, {**counts, "layer": path[chosen]["layer"], "l2": path[chosen]["l2"]}
