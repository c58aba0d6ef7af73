"""The part of a route where a recipe says `on: features`: what reads a frozen model, and what is trained on that."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm import options
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.tune_recipe import refused_few
from w2s_rm.features.options import (
    TOKENS,
    FeatureOptions,
    FeatureSchedule,
    column,
    lacks_layers,
    parse_column,
    part_features,
    pooling_of_rows,
)
from w2s_rm.heads import HEADS
from w2s_rm.metrics.trials import LEAST
from w2s_rm.roles import WEAK
from w2s_rm.runs.places import model_layers
from w2s_rm.stages import Examples, Features, Labels, Model
from w2s_rm.stages.assemble import Assemble
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.convert import Convert
from w2s_rm.stages.features import Features as Reading
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.saliency import Saliency
from w2s_rm.stages.train import Train
from w2s_rm.training.pretraining import Pretraining, pretrained_by
from w2s_rm.training.trainer_options import batch_size, computing, scoring
from w2s_rm.types import Loss

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route
    from w2s_rm.supervisors import Supervision

# What a model that is made of a linear one takes over from its training.
_OF_PROBE = (
    *("runs", "launch", "part", "of", "method", "note"),
    *("examples", "features", "labels", "head", "classes", "loss", "seed"),
)


def probe_in_place_of(training: Train, route: Route, features: FeatureOptions, validation: Labels | None) -> Probe:
    """Plan the training of a linear model in place of the model's own.

    Args:
        training ([`~w2s_rm.stages.train.Train`]): The model's own.
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        features ([`~w2s_rm.features.options.FeatureOptions`]): What the recipe says of it.
        validation ([`~w2s_rm.stages.Labels`], *optional*): What gave the labels says of the validation split.

    Raises:
        ConfigError: The model has no such layers or is to be trained itself, or nothing chooses one of several values.
    """
    part, base = str(training.part), training.model_name_or_path
    # By these two a training shows that the preparations `freeze` and `head_first` were here.
    if training.trainable_layers is not None or isinstance(base.maker, Train):
        raise ConfigError("on: features: freeze and head_first train the model itself; remove one of the two")
    if training.options.get("anchor_coefficient") is not None:
        raise ConfigError(
            f"{part}: anchor_coefficient: in a frozen model nothing drifts; remove it, or train the model itself"
        )
    _check_pooling(part, training.head, features)
    _check_layers(route, part, features)
    # Built only to ask whether it is convex, and so how it will be minimised.
    loss: Loss = options.build("losses", training.loss)
    held_out: dict[str, Any] = {}
    # One value is no choice, and needs no validation split.
    if features.several:
        held_out = _held_out(route, part, base, training.labels is not None, validation)
    schedule = FeatureSchedule.of(training.options)
    return Probe(
        **route.part_fields(part),
        examples=training.examples,
        features=_read(route, part, base, training.examples),
        labels=training.labels,
        **held_out,
        head=training.head,
        classes=training.classes,
        loss=training.loss,
        convex=loss.convex,
        layers=features.layers,
        pooling=features.pooling,
        l2=features.penalties,
        learning_rate=schedule.learning_rate,
        num_train_epochs=schedule.num_train_epochs,
        batch_size=batch_size(training.options, training.launch.processes),
        seed=training.seed,
        of=training.of,
        method=training.method,
        note=training.note,
    )


def read_alike(probe: Probe, route: Route, examples: Examples) -> Features:
    """Plan the reading of other examples as those were read that a linear model was trained on.

    Args:
        probe ([`~w2s_rm.stages.probe.Probe`]): The training.
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        examples ([`~w2s_rm.stages.Examples`]): A split, or some of its examples.
    """
    reading = probe.features.maker
    assert isinstance(reading, Reading)
    # With the columns that the training has: what reads a split once serves all that is trained or scored on it.
    return dataclasses.replace(reading, **_whole_split(route, examples)).features


def saliency_of(
    route: Route, supervision: Supervision, read: FeatureOptions, seed: int, method: str | None
) -> Saliency:
    """Plan the search for a supervisor's mistakes in what the strong model makes of the examples before any training.

    Args:
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        supervision ([`~w2s_rm.supervisors.Supervision`]): The supervisor.
        read ([`~w2s_rm.features.options.FeatureOptions`]): Whose hidden states are read, and the penalties.
        seed (`int`): The repetition.
        method (`str`, *optional*): The method that has the supervisor for itself.
    """
    base, examples, test = route.base("strong"), route.examples("relabel"), route.examples("test")
    return Saliency(
        **route.part_fields("strong"),
        examples=examples,
        features=_read(route, "strong", base, examples),
        # On the half that it labels for students: of the other one it has seen the answers.
        labels=supervision.label("relabel"),
        test_examples=test,
        test_features=_read(route, "strong", base, test),
        layers=read.layers,
        pooling=read.pooling,
        l2=read.penalties,
        of=WEAK,
        method=method,
        seed=seed,
    )


def check_saliency(route: Route) -> None:
    """Refuse a search for mistakes that no method's supervisor allows.

    Args:
        route ([`~w2s_rm.experiment.route.Route`]): Of a recipe, perhaps with `saliency`.

    Raises:
        ConfigError: The examples have no truth, the model has no such layers, or its head has no such features; with
            the place.
    """
    read, place = route.recipe.saliency, functools.partial(route.recipe.place, "saliency")
    if read is None:
        return
    if not route.has_truth:
        raise ConfigError(
            f"{place()}: without ground truth nobody knows the mistakes; take a task that has it, or leave it out"
        )
    _check_pooling(place("pooling"), str(route.encoding["head"]), read)
    lacking, count = _lacking_layers(route, "strong", read)
    if lacking:
        raise ConfigError(f"{place('layer')}: {lacks_layers('the strong model', lacking, count)}")


def _check_pooling(where: str, head: str, read: FeatureOptions) -> None:
    """Refuse a mean over the tokens of an example that has none of its own, read where a longer one passes by."""
    if HEADS[head].chains and read.pooling != "last":
        raise ConfigError(
            f"{where}: pooling {read.pooling}: head {head} reads a text at its end, where others go on; "
            "set pooling: last"
        )


def token_states(training: Train, route: Route, layers: int) -> Features:
    """Plan the reading of what the last layers of a model read of the examples of a training: of the whole split, once.

    Args:
        training ([`~w2s_rm.stages.train.Train`]): Its model is the one that is read.
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        layers (`int`): How many of its last layers are not.
    """
    own = route.spec(str(training.part)).options
    reading = Reading(
        runs=training.runs,
        launch=training.launch,
        part=training.part,
        setting=training.setting,
        head=training.head,
        classes=training.classes,
        **_whole_split(route, training.examples),
        model_name_or_path=training.model_name_or_path,
        # Counted from the end, for of a model on the hub a plan does not know how many layers there are.
        columns=[column(-layers, TOKENS)],
        options=scoring(training.options, own, as_given=True),
    )
    return reading.features


def probe_of(model: Model) -> Probe | None:
    """Return the training of a linear model, `None` for any other; of one that was chosen among several, the first's.

    These differ in losses and steps, not in the features that they read; the role is that of the chosen one.

    Args:
        model ([`~w2s_rm.stages.Model`]): A model that was trained here, or not.
    """
    maker = model.maker
    if isinstance(maker, Choice) and isinstance(first := maker.trials[0].maker, Probe):
        return dataclasses.replace(first, of=maker.of, note=maker.note)
    return maker if isinstance(maker, Probe) else None


def assembled(model: Model, probe: Probe) -> Model:
    """Plan a model that reads texts, of a linear model and that whose hidden states it reads.

    Args:
        model ([`~w2s_rm.stages.Model`]): The linear model.
        probe ([`~w2s_rm.stages.probe.Probe`]): Its training.

    Raises:
        ConfigError: Its features are not those of a row of tokens.
    """
    # Only to refuse: the stage would say the same when all is trained.
    pooling_of_rows(probe.pooling, classes=HEADS[probe.head].needs_classes)
    reading = probe.features.maker
    assert isinstance(reading, Reading)
    return Assemble(
        **{name: getattr(probe, name) for name in _OF_PROBE},
        linear_model=model,
        model_name_or_path=reading.model_name_or_path,
        setting=reading.setting,
        options=reading.options,
    ).model


def _read(route: Route, part: str, model: Model, examples: Examples) -> Features:
    """What a frozen model makes of examples: all columns of the recipe in one pass, the split once for all its parts.

    Raises:
        ConfigError: The model has weights to be trained, or the head needs them.
    """
    if HEADS[route.encoding["head"]].writes:
        raise ConfigError(
            f"on: features: head {route.encoding['head']} reads the probabilities of tokens, not features; set "
            "head: reward, or classification where the task has classes"
        )
    if route.spec(part).options.get("use_peft"):
        raise ConfigError(f"{part}: use_peft: on: features trains nothing in the model; remove one of the two")
    reading = Reading(
        **route.part_fields(part),
        **route.encoding,
        **_whole_split(route, examples),
        model_name_or_path=model,
        columns=_columns(route, part),
        options=_reading_options(route, part),
    )
    return reading.features


def _whole_split(route: Route, examples: Examples) -> dict[str, Any]:
    """The split of which examples are a part, by the stages that took them from it, as all seeds draw it."""
    while (maker := examples.maker) is not None and isinstance(split := maker.references.get("examples"), Examples):
        # Texts of their own, under the ids of the split: to read the split would be to read something else.
        if maker.rewrites:
            return {"examples": examples, "other_examples": ()}
        examples = split
    # An example that several seeds draw is read once.
    name = Path(examples.path).stem
    # Sorted, so that recipes with the same seeds in another order share the features.
    first, *others = dict.fromkeys(route.of_seed(seed).examples(name) for seed in sorted(route.recipe.seeds))
    return {"examples": first, "other_examples": tuple(others)}


def _columns(route: Route, part: str) -> list[str]:
    """What is trained on anywhere in the recipe of the model that a part describes."""

    def source(name: str) -> tuple[str, dict[str, Any]]:
        return route.base(name).identity, computing(_reading_options(route, name))

    columns: set[str] = set()
    # Two parts may be one model that is read to different depths: one pass serves both.
    for other in (name for name in route.bases if source(name) == source(part)):
        methods = [method.train for method in route.recipe.methods.values() if method.model == other]
        for own in ({}, *methods):
            features, _ = part_features({**route.training_options(other), **own})
            columns.update([] if features is None else features.columns)
        # A supervisor's mistakes are looked for in the same pass.
        if other == "strong" and route.recipe.saliency is not None:
            columns.update(route.recipe.saliency.columns)
    return sorted(columns, key=parse_column)


def _reading_options(route: Route, part: str) -> dict[str, Any]:
    return scoring(route.training_options(part), route.spec(part).options, as_given=True)


def _held_out(route: Route, part: str, base: Model, labelled: bool, validation: Labels | None) -> dict[str, Any]:
    """Where one of several layers and penalties is chosen, and by which labels."""
    n_validation = int(route.recipe.sizes.get("n_validation") or 0)
    if not n_validation:
        raise ConfigError(
            f"{part}: several values of layer or l2 are chosen from on the validation split, and it is empty; set "
            "task.n_validation, or give one value"
        )
    if n_validation < LEAST:
        chosen = "one of several values of layer or l2"
        raise ConfigError(f"{part}: {refused_few(n_validation, chosen)}, or give one value")
    if labelled and validation is None:
        raise ConfigError(
            f"{part}: one of several values of layer or l2 is chosen by labels of the validation split, and what "
            "labels the examples here does not label those; give one value"
        )
    examples = route.examples("validation")
    return {
        "validation_examples": examples,
        "validation_features": _read(route, part, base, examples),
        "validation_labels": validation,
    }


def _check_layers(route: Route, part: str, features: FeatureOptions) -> None:
    lacking, count = _lacking_layers(route, part, features)
    if lacking:
        raise ConfigError(f"{part}: {lacks_layers('the model', lacking, count)}")


def _lacking_layers(route: Route, part: str, features: FeatureOptions) -> tuple[list[int], int]:
    """The layers that a model does not have, and how many it has."""
    count = layer_count(route, part)
    return [layer for layer in features.layers if count is not None and layer > count], count or 0


def layer_count(route: Route, part: str) -> int | None:
    """Return the number of layers of the model that a part describes; `None` where it is not known yet.

    Args:
        route ([`~w2s_rm.experiment.route.Route`]): The route.
        part (`str`): The part of the recipe.
    """
    spec = route.spec(part)
    if spec.pretrain is not None:
        # With any seed it has as many.
        return Pretraining(**pretrained_by(spec.pretrain, 0)).num_hidden_layers
    # A recipe may load fewer layers than were saved.
    count = dict(route.training_options(part).get("model_init_kwargs") or {}).get("num_hidden_layers")
    base = route.base(part)
    # What is converted when the run begins has its layers in the file that it is made of.
    source = base.maker.source if isinstance(base.maker, Convert) else base
    return int(count) if count is not None else model_layers(source.path)
