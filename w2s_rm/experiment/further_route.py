"""The part of a route where a recipe scores its models on further tasks: the same evaluations, of other examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog, options
from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.further_recipe import NAMED_AS
from w2s_rm.heads import HEADS
from w2s_rm.stages import Examples, Labels, Model, Reference, Stage
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.prepare import Prepare
from w2s_rm.training.facts import CONVERSATIONS, kind_of
from w2s_rm.types import Task

if TYPE_CHECKING:
    from w2s_rm.experiment.plan import Plan
    from w2s_rm.experiment.recipe import Recipe

    PrepareTask = Callable[..., Prepare]


@dataclass(frozen=True)
class Further:
    """A further task of a recipe.

    Args:
        label (`str`): Its name for display.
        prepared ([`~w2s_rm.stages.prepare.Prepare`]): The stage that makes its examples.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
    """

    label: str
    prepared: Prepare
    classes: list[str] | None

    @property
    def examples(self) -> Examples:
        """What models are scored on."""
        return self.prepared.examples("test")


def find_further(recipe: Recipe, number: int, home: Prepare, own: Task, head: str, prepare: PrepareTask) -> Further:
    """Find a further task, and refuse one on which the recipe's models cannot be scored.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        number (`int`): Which of its further tasks.
        home ([`~w2s_rm.stages.prepare.Prepare`]): Prepares the recipe's own task.
        own ([`~w2s_rm.types.Task`]): The recipe's own task.
        head (`str`): How its models score candidates.
        prepare (`Callable`): Plans the stage that makes a task's examples, from the task, its name, options and sizes.

    Raises:
        ConfigError: It is the recipe's own task, has no ground truth, or the head asks for other classes.
    """
    entry = recipe.also_evaluate[number]
    place, task = recipe.place("also_evaluate", str(number)), entry.task()
    if not task.has_ground_truth:
        raise ConfigError(f"{place}: task {entry.label} has no ground truth, so nothing can be measured on it")
    # An output means a class by its place: names, number and order must be the same.
    if HEADS[head].needs_classes and task.classes != own.classes:
        asked, had = (_named(classes) for classes in (task.classes, own.classes))
        raise ConfigError(
            f"{place}: task {entry.label} has {asked}, and models of head {head} have an output for each of the "
            f"classes of {recipe.task_label}, {had}; use a head that reads candidates, or another task"
        )
    prepared = dataclasses.replace(prepare(task, entry.name, entry.options, entry.sizes), further=entry.label)
    # Sizes apart: another number of the same examples is no other task.
    if _data(prepared) == _data(home):
        raise ConfigError(
            f"{place}: task {entry.label} is the recipe's own task, whose test split is scored already; remove it"
        )
    return Further(entry.label, prepared, None if task.classes is None else list(task.classes))


def refuse_twice(recipe: Recipe, further: list[Further]) -> None:
    """Refuse two further tasks that are the same examples under two names.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        further (`list[Further]`): All of its further tasks.

    Raises:
        ConfigError: Names the second.
    """
    # In a list, for what tasks are of has no hash.
    seen: list[tuple[tuple[object, ...], str]] = []
    for number, task in enumerate(further):
        data = _data(task.prepared)
        if same := [label for other, label in seen if other == data]:
            raise ConfigError(
                f"{recipe.place('also_evaluate', str(number))}: task {task.label} is {same[0]} under "
                f"another name ({NAMED_AS}), of whatever size; remove one of the two"
            )
        seen.append((data, task.label))


def evaluated_on(stage: Evaluate, home: Examples, further: Further) -> Evaluate | None:
    """Plan an evaluation on a further task: the model stays, and all that was made of the examples is made of others.

    Args:
        stage ([`~w2s_rm.stages.evaluate.Evaluate`]): An evaluation on the recipe's own task.
        home ([`~w2s_rm.stages.Examples`]): What it scores.
        further ([`Further`]): The task.

    Returns:
        [`~w2s_rm.stages.evaluate.Evaluate`]: `None` where a file of labels judges, which knows no other examples.
    """
    if _knows_its_examples(stage):
        return None
    moved = _moved(stage, home, further)
    assert isinstance(moved, Evaluate)
    return moved


def form_problems(plan: Plan) -> list[str]:
    """Say which further tasks are written in another form than the recipe's own, so that models would misread them.

    Plain text is scored as messages by a reward model that was trained on conversations; a linear model on features
    has no such way. None before the tasks are prepared.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): A planned recipe.
    """
    kinds: dict[str | None, str] = {}
    for stage in plan.stages:
        if isinstance(stage, Prepare) and stage.cached:
            # A task is written in one form throughout, which its first example shows.
            first = read_examples(stage.folder / "examples" / "test.parquet")[0]
            kinds[stage.further] = kind_of(first.candidates[0])
    read_as_is = any(stage.kind == "features" for stage in plan.stages)
    return [
        f"also_evaluate: task {label} is {kind}, and the recipe's own is {kinds[None]}: scores of models that were "
        "trained on one mean nothing on the other; give it in the same form"
        for label, kind in kinds.items()
        if kind != kinds.get(None, kind) and (kind == CONVERSATIONS or read_as_is)
    ]


def _moved(stage: Stage, home: Examples, further: Further) -> Stage:
    def there(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(there, value))
        # What a model was trained on is the recipe's own task, wherever it is scored.
        if not isinstance(value, Reference) or isinstance(value, Model):
            return value
        if value.identity == home.identity:
            return further.examples
        if value.maker is None:
            return value
        # By recursion through what made it; the first thing that is reached is the examples themselves, which have been
        # replaced.
        maker = _moved(value.maker, home, further)
        # The identity is the maker's hash and the part of its folder: the same part, of the other maker.
        return value if maker is value.maker else maker.made(type(value), value.identity.partition("/")[2])

    values = {option.name: getattr(stage, option.name) for option in dataclasses.fields(stage)}
    changed = {name: new for name, value in values.items() if (new := there(value)) != value}
    if not changed:
        return stage
    classes = {"classes": further.classes} if "classes" in values else {}
    return dataclasses.replace(stage, **{**changed, **classes, "further": further.label})


def _knows_its_examples(stage: Stage) -> bool:
    """Whether it depends on a file of labels, in whatever way but through a model."""
    return any(
        isinstance(reference, Labels)
        if reference.maker is None
        else not isinstance(reference, Model) and _knows_its_examples(reference.maker)
        for reference in stage.references.values()
    )


def _data(prepared: Prepare) -> tuple[object, ...]:
    """What a task's examples come from, however it is written: a default that is named is the same as one that is not.

    Sizes are apart, and the path, for which the content stands.
    """
    task = options.build("tasks", prepared.task)
    fields = {option.name: getattr(task, option.name) for option in dataclasses.fields(task) if option.name != "path"}
    # A word that goes with answers makes other texts of them, whatever the sizes; how often it does is a matter of the
    # split weak alone.
    return catalog.identity(str(prepared.task["name"])), fields, prepared.source, prepared.sizes.get("cue")


def _named(classes: tuple[str, ...] | None) -> str:
    return "no classes" if classes is None else f"the classes {', '.join(map(repr, classes))}"
