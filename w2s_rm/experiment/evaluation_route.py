"""The part of a route where a recipe says `evaluations: n`: what a training scores besides, and whether it can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.data.splits import SplitSizes
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.stages import Examples, Labels, Stage
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.train import Train
from w2s_rm.training.evaluations import EVALUATION_OPTIONS, Evaluations, too_many
from w2s_rm.training.trainer_options import batch_size
from w2s_rm.types import WEAK_VALIDATION

if TYPE_CHECKING:
    from w2s_rm.experiment.recipe import Recipe
    from w2s_rm.experiment.route import Route

# Of transformers' trainer.
_EPOCHS = 3.0


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
        # `None` is for what has no options of a method: supervisors and ceilings.
        for method in (None, *methods):
            own = {} if method is None else recipe.methods[method].train
            train = {name: value for name, value in {**recipe.train, **spec.train, **own}.items() if value is not None}
            for option, wrong in _wrong(train, bool(recipe.sizes.get("n_validation"))):
                yield recipe.keys_of_option(option, train[option], part, method), wrong


def _wrong(train: Mapping[str, Any], held_out: bool) -> Iterator[tuple[str, str]]:
    """The options of one training that do not go with the others."""
    names = [name for name in EVALUATION_OPTIONS if name in train]
    if names and "evaluations" not in names:
        yield names[0], "only with evaluations; say how many, or leave it out"
    elif names and train.get("on") is not None:
        yield "evaluations", "not with on: features, where nothing is trained step by step; remove one of the two"
    elif train.get("keep") == WEAK_VALIDATION and not held_out:
        yield "keep", "the validation split would choose the model, and it is empty; set task.n_validation"


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
    examples = stage.examples
    # What some stage took from a split has no more examples than it.
    while examples.maker is not None and isinstance(whole := examples.maker.references.get("examples"), Examples):
        examples = whole
    if not isinstance(examples.maker, Prepare):
        return None
    size = SplitSizes(**examples.maker.sizes).wanted[Path(examples.path).stem]
    if size is None:
        return None
    # Rounded up: the last batch of an epoch may be a smaller one.
    steps = -(-size // batch_size(options, stage.launch.processes))
    return math.ceil(float(options.get("num_train_epochs", _EPOCHS)) * steps)
