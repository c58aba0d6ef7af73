"""Trainings of which one is chosen: what each of them is, and how a plan says how many there are."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.tune_recipe import LOSS, Values, too_few
from w2s_rm.metrics.trials import FEW, visible_difference
from w2s_rm.render.numbers import percent
from w2s_rm.roles import INTERMEDIATE, TRAINED
from w2s_rm.stages import Labels, Reference
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.train import Train

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.route import Route

# Trials stay here: the model that is chosen goes to the hub.
_OF_HUB = ("push_to_hub", "hub_model_id", "hub_token", "hub_private_repo", "hub_revision")


@dataclass(frozen=True)
class Trial:
    """What one of several trainings has that others do not.

    Args:
        values (`Mapping`): Training options, and fields of the loss as `loss.<field>`.
    """

    values: Mapping[str, Any]

    @property
    def train(self) -> dict[str, Any]:
        """The training options."""
        return {name: value for name, value in self.values.items() if not name.startswith(LOSS)}

    @property
    def loss(self) -> dict[str, Any]:
        """The fields of the loss."""
        return {name.removeprefix(LOSS): value for name, value in self.values.items() if name.startswith(LOSS)}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.values.items())


def trials(tune: Values, loss: Mapping[str, Any]) -> list[Trial]:
    """Combine all values with each other, the last option's first; one trial without values where nothing is tuned.

    Args:
        tune (`Mapping[str, tuple]`): Values by option.
        loss (`Mapping`): `name` and options of the loss: fields that it has not are left out.
    """
    fields = {f"{LOSS}{option.name}" for option in dataclasses.fields(catalog.lookup("losses", str(loss["name"])))}
    fitting = {name: values for name, values in tune.items() if not name.startswith(LOSS) or name in fields}
    # The product of nothing is one empty combination.
    return [Trial(dict(zip(fitting, values, strict=True))) for values in itertools.product(*fitting.values())]


def choose(
    route: Route, trainings: Sequence[Train | Probe], tried: Sequence[Trial], validation: Labels | None
) -> Choice:
    """Plan the choice of one of several trainings that are the same but for what is tuned.

    Args:
        route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
        trainings (`Sequence[Train | Probe]`): Each in the role of the one that will be chosen.
        tried (`Sequence[Trial]`): What each of them is.
        validation ([`~w2s_rm.stages.Labels`], *optional*): What gave the labels says of the validation split.

    Raises:
        ConfigError: Models that are trained on labels would have to be chosen by the truth.
    """
    first = trainings[0]
    part, seed = str(first.part), first.seed
    if first.labels is not None and validation is None:
        raise ConfigError(
            f"{part}: tune: one of several trainings is chosen by labels of the validation split, and what labels the "
            "examples here does not label those; leave tune out"
        )
    role = None if first.of == INTERMEDIATE else first.of
    models, scores = [], []
    for number, (training, trial) in enumerate(zip(trainings, tried, strict=True), start=1):
        words = " ".join(filter(None, (role, first.note, f"trial {number} of {len(tried)}")))
        # Steps on the way: only the choice has the role that reports look for.
        attempt = dataclasses.replace(_kept_here(training, words), of=INTERMEDIATE, note=f"{words} ({trial})")
        judged = route.evaluate(
            INTERMEDIATE, attempt.model, seed=seed, part=part, method=attempt.method, split="validation", note=words
        )
        models.append(attempt.model)
        scores.append(judged.scores)
    # Linear models go to no hub.
    trained = first.options if isinstance(first, Train) else {}
    pushed = {name: trained[name] for name in _OF_HUB if name in trained}
    return Choice(
        **route.part_fields(part),
        trials=tuple(models),
        scores=tuple(scores),
        examples=route.examples("validation"),
        # What was trained on the truth is chosen by the truth.
        labels=validation if first.labels is not None else None,
        values=[dict(trial.values) for trial in tried],
        of=first.of,
        method=first.method,
        note=first.note,
        seed=seed,
        run_name=first.run_name if isinstance(first, Train) else None,
        options=pushed or None,
    )


def _kept_here(training: Train | Probe, words: str) -> Train | Probe:
    """A training that goes nowhere else, under a name of its own where it is watched."""
    if isinstance(training, Probe):
        return training
    options = {name: value for name, value in training.options.items() if name not in _OF_HUB}
    # With a name for each, for trackers would draw trials of one name as one run.
    return dataclasses.replace(training, options=options, run_name=f"{training.run_name}-{words.replace(' ', '_')}")


def _trained_once(model: Reference) -> bool:
    return isinstance(model.maker, Train | Probe)


def tuning_lines(plan: Plan) -> list[str]:
    """Say how many trials each model of a plan is chosen from, and how small a difference validation can show.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): A planned recipe.

    Returns:
        `list[str]`: Empty for a recipe that tunes nothing.
    """
    chosen = [stage for stage in plan.stages if isinstance(stage, Choice)]
    if not chosen:
        return []
    numbers: dict[int, dict[str, None]] = {}
    for stage in chosen:
        named = " ".join(word for word in (stage.of, stage.method, stage.note) if word)
        numbers.setdefault(len(stage.trials), {})[named] = None
    for judged in plan.stages:
        # What is measured of models that were trained once, without a choice, stands beside what was chosen.
        model = judged.references.get("model_name_or_path") if isinstance(judged, Evaluate) else None
        if judged.of in TRAINED and judged.further is None and model is not None and _trained_once(model):
            numbers.setdefault(1, {})[" ".join(word for word in (judged.of, judged.method) if word)] = None
    each = "; ".join(
        f"{number} trial{'s' if number > 1 else ''} for {', '.join(names)}" for number, names in sorted(numbers.items())
    )
    # It is there, for without it a recipe that tunes is refused.
    n = int(plan.recipe.sizes["n_validation"])
    lines = [f"tuned: {each}; chosen on {n} validation examples"]
    if n < FEW:
        return [*lines, f"! few to choose by: {too_few(n)}; raise task.n_validation"]
    shown = percent(visible_difference(n))
    return [*lines, f"  these show a difference of {shown} points, between trials that choose differently on 10 %"]
