"""The part of a route where a recipe says `evaluations: n`: what a training scores besides, and whether it can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog
from w2s_rm import options as components
from w2s_rm.data.splits import SplitSizes
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.experiment.tune_recipe import refused_few
from w2s_rm.metrics.trials import LEAST
from w2s_rm.runs.folder import StageFolder
from w2s_rm.settings import find_setting
from w2s_rm.stages import Examples, Labels, Stage
from w2s_rm.stages.portion import Portion
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.train import Train
from w2s_rm.stages.transform import Transform
from w2s_rm.training.evaluations import EVALUATION_OPTIONS, Evaluations, overlaid, too_many
from w2s_rm.training.trainer_options import batch_size
from w2s_rm.types import WEAK_VALIDATION

if TYPE_CHECKING:
    from w2s_rm.experiment.recipe import Recipe
    from w2s_rm.experiment.route import Route

# Of transformers' trainer.
_EPOCHS = 3.0
# Standard deviations of the size of a part, beyond which none is expected.
_FAR = 4


def evaluated(training: Train, route: Route, evaluations: Evaluations, validation: Labels | None) -> Train:
    """Plan that a training scores held-out splits.

    Args:
        training ([`~w2s_rm.stages.train.Train`]): The training.
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        evaluations ([`~w2s_rm.training.evaluations.Evaluations`]): How often, and what is kept.
        validation ([`~w2s_rm.stages.Labels`], *optional*): What gave the labels says of the validation split.

    Raises:
        ConfigError: The validation split shall choose, and nothing there tells better from worse.
    """
    labelled = training.labels is not None
    if evaluations.chooses and labelled and validation is None:
        raise ConfigError(
            "keep: weak_validation: the model is chosen by labels of the validation split, and what labels the "
            "examples here does not label those; keep: end"
        )
    # What is trained on labels is stopped by labels: without these the split would tell the truth.
    held_out = bool(route.recipe.sizes.get("n_validation")) and not (labelled and validation is None)
    return dataclasses.replace(
        training,
        evaluations=evaluations.evaluations,
        evaluation_spacing=evaluations.evaluation_spacing,
        keep=evaluations.keep,
        validation=route.examples("validation") if held_out else None,
        validation_labels=validation if held_out and labelled else None,
        test=route.examples("test"),
    )


def evaluation_problems(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say which evaluations the options of a recipe do not go with, taken together for each model.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe, each option by itself being right.

    Yields:
        `tuple[tuple[str, ...], str]`: Keys that lead to the option, and what is wrong.
    """
    for part, spec in recipe.models().items():
        methods = [name for name, method in recipe.methods.items() if method.model == part]
        # A policy's trainers have options of their own, and of labels or a model that is trained already nothing is.
        if part == "policy" or (not methods and (spec.labels or spec.trained)):
            continue
        # `None` is for what has no options of a method: supervisors and ceilings.
        for method in (None, *methods):
            own = {} if method is None else recipe.methods[method].train
            merged = overlaid(recipe.train, spec.train, own)
            train = {name: value for name, value in merged.items() if value is not None}
            for option, wrong in _wrong(train, int(recipe.sizes.get("n_validation") or 0)):
                yield recipe.keys_of_option(option, train[option], part, method), wrong


def _wrong(train: Mapping[str, Any], n_validation: int) -> Iterator[tuple[str, str]]:
    """The options of one training that do not go with the others."""
    names = [name for name in EVALUATION_OPTIONS if name in train]
    if names and "evaluations" not in names:
        yield names[0], "only with evaluations; say how many, or leave it out"
    elif names and train.get("on") is not None:
        yield "evaluations", "not with on: features, where nothing is trained step by step; remove one of the two"
    elif train.get("keep") == WEAK_VALIDATION and not n_validation:
        yield "keep", "the validation split would choose the model, and it is empty; set task.n_validation"
    elif train.get("keep") == WEAK_VALIDATION and n_validation < LEAST:
        yield "keep", refused_few(n_validation, "which model is saved")


def refuse_evaluations(recipe: Recipe, stages: Iterable[Stage]) -> None:
    """Refuse evaluations for which a training has no steps, as far as these are known.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        stages (`Iterable[Stage]`): What was planned for it.

    Raises:
        ConfigError: Names all places.
    """
    # Seeds and roles share the place where a number is said: it is named once.
    problems: dict[str, None] = {}
    for stage in stages:
        if not isinstance(stage, Train) or stage.evaluations is None:
            continue
        steps = _most_steps(stage)
        if steps is not None and stage.evaluations > steps:
            keys = recipe.keys_of_option("evaluations", stage.evaluations, str(stage.part), stage.method)
            problems[f"{recipe.place(*keys)}: {too_many(stage.evaluations, steps)}"] = None
    if problems:
        raise ConfigError(join_problems(f"recipe {recipe.name} cannot be planned:", list(problems)))


def _most_steps(stage: Train) -> int | None:
    """How many steps a training has at the most, `None` where only its data tell: transforms may take some away."""
    options = stage.options
    # Where it is given, epochs are of no account, as in transformers.
    if int(options.get("max_steps", -1)) > 0:
        return int(options["max_steps"])
    size = _most_examples(stage.examples)
    if size is None:
        return None
    batch = batch_size(options, stage.launch.processes)
    # Rounded up: the last batch of an epoch may be a smaller one.
    steps = size // batch if options.get("dataloader_drop_last") else -(-size // batch)
    return math.ceil(float(options.get("num_train_epochs", _EPOCHS)) * steps)


def _most_examples(examples: Examples) -> int | None:
    """How many examples there are at the most, `None` where only the data tell."""
    maker, split = examples.maker, Path(examples.path).stem
    if isinstance(maker, Prepare):
        # Once the data are prepared they are counted.
        counted = StageFolder(maker.folder).manifest()["counts"].get(f"n_{split}") if maker.cached else None
        if counted is not None:
            return int(counted)
        # Solutions are taken whole, so that a split may hold more steps than were asked for.
        steps = find_setting(catalog.lookup("tasks", str(maker.task["name"])).setting).steps
        return None if steps else SplitSizes(**maker.sizes).wanted[split]
    whole = maker.references.get("examples") if maker is not None else None
    size = _most_examples(whole) if isinstance(whole, Examples) else None
    if size is None:
        return None
    if isinstance(maker, Portion):
        mean = size * ((maker.parts - 1 if maker.without else 1) / maker.parts)
        # A hash deals the groups out: hardly a part is so much larger than others, and a training says so if one is.
        return min(size, math.ceil(mean + _FAR * math.sqrt(mean)))
    if isinstance(maker, Transform):
        for entry in maker.transforms:
            size = components.build("labels", entry).most_left(size)
    # What some stage took from a split has no more examples than it.
    return size
