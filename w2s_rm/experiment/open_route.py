"""Before stages are planned: find all that a recipe names, and decide how its examples become scores."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.data.reading import resolve_path
from w2s_rm.data.splits import drawn_by
from w2s_rm.errors import ConfigError, W2SError, join_problems
from w2s_rm.experiment.feature_route import check_saliency
from w2s_rm.experiment.further_route import Further, find_further, refuse_twice
from w2s_rm.experiment.pretrain_route import pretrained
from w2s_rm.experiment.recipe import ModelSpec, Recipe
from w2s_rm.experiment.route import Route
from w2s_rm.heads import HEADS
from w2s_rm.runs.gguf import is_gguf, require_gguf
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.runs.places import find_labels, model_version, resolve_model
from w2s_rm.settings import find_setting
from w2s_rm.stages import Model
from w2s_rm.stages.convert import Convert
from w2s_rm.stages.prepare import Prepare
from w2s_rm.training.pretraining import Pretraining, pretrained_by
from w2s_rm.types import Task

# The option of the tasks of facts, and the word that it puts before a question.
_UNCHECKED = "unchecked"


def open_route(recipe: Recipe, runs: Path) -> Route:
    """Find all that a recipe names, and what identifies it.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        runs (`Path`): Where runs are kept, absolute.

    Raises:
        ConfigError: What is not where the recipe says, or does not fit together; all in one message.
    """
    task, problems = recipe.task(), _Problems()
    # Each step may fail, and the next is tried all the same: all that is wrong is said at once.
    encoding: dict[str, Any] = problems.attempt(functools.partial(_encoding, recipe, task), {})
    prepare = functools.partial(_prepare, recipe, runs)
    named = recipe.task_name, recipe.task_options, recipe.sizes
    prepared = problems.attempt(functools.partial(prepare, task, *named), None)
    further: list[Further] = []
    for number in range(len(recipe.also_evaluate)):
        # What is wrong with the recipe's own task is said once.
        if encoding and prepared is not None:
            find = functools.partial(find_further, recipe, number, prepared, task, encoding["head"], prepare)
            further += filter(None, [problems.attempt(find, None)])
    problems.attempt(functools.partial(refuse_twice, recipe, further), None)
    problems.attempt(functools.partial(_check_unchecked, recipe), None)
    bases: dict[str, Model] = {}
    launches: dict[str, Launch] = {}
    for part, spec in recipe.models().items():
        launches[part] = problems.attempt(functools.partial(_launch, recipe, spec), Launch())
        problems.attempt(functools.partial(_check_world, recipe, part, spec, task), None)
        if spec.labels is not None:
            # Only looked for: the supervisor `file` finds them again when it plans.
            problems.attempt(functools.partial(find_labels, spec.labels), None)
        else:
            base = problems.attempt(functools.partial(_base, spec, part, runs, launches[part], min(recipe.seeds)), None)
            bases |= {} if base is None else {part: base}
    if problems.messages or prepared is None:
        raise ConfigError(join_problems(f"recipe {recipe.name} cannot be planned:", list(problems.messages)))
    route = Route(
        recipe=recipe,
        runs=runs,
        prepared=prepared,
        tested=prepared,
        further=tuple(further),
        encoding=encoding,
        bases=bases,
        launches=launches,
        has_truth=task.has_ground_truth,
    )
    # Of the recipe as a whole: a method would be named for what is none of its own.
    check_saliency(route)
    return route


class _Problems:
    """Collects what several steps raise, each message once."""

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}

    def attempt(self, step: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return step()
        except W2SError as error:
            self.messages[str(error)] = None
            return otherwise


def _launch(recipe: Recipe, spec: ModelSpec) -> Launch:
    name = spec.accelerate_config or recipe.accelerate_config
    return Launch(find_accelerate_config(name) if name else None, spec.gpus)


def _prepare(
    recipe: Recipe, runs: Path, task: Task, name: str, task_options: Mapping[str, Any], sizes: Mapping[str, Any]
) -> Prepare:
    named = {"name": name, **task_options}
    local = Path(resolve_path(str(named.get("path", ""))))
    if "path" in named and local.exists():
        # Absolute, because a stage may run in another folder than the one in which it was planned.
        named["path"] = str(local.resolve())
    # Of several draws one has the test split of all. Not the first that is named, or the order of seeds would tell.
    drawn = drawn_by(sizes, min(recipe.seeds))
    return Prepare(runs=runs, task=named, sizes=drawn, source=task.content_version())


def _base(spec: ModelSpec, part: str, runs: Path, launch: Launch, first: int) -> Model:
    """What a part of the recipe starts from; of models that seeds have for themselves, that of the first seed."""
    if spec.pretrain is None:
        path = resolve_model(str(spec.model_name_or_path))
        model = Model(path, model_version(path, str(spec.options.get("model_revision", "main"))))
        if not is_gguf(path):
            return model
        require_gguf(path)
        return Convert(runs=runs, part=part, source=model).model
    return pretrained(runs, part, spec.pretrain, launch, first)


def _encoding(recipe: Recipe, task: Task) -> dict[str, Any]:
    """Decide what says how examples of the task become scores."""
    head, classes = choose_head(recipe, task), task.classes
    if classes is not None and not find_setting(task.setting).classes:
        raise ConfigError(
            f"task {recipe.task_name} has classes, but setting {task.setting} knows no order of candidates"
        )
    if recipe.policy is not None and not HEADS[head].gives_rewards:
        raise ConfigError(f"policy: rewards come from head reward, and this recipe's models have head {head}")
    return {"setting": task.setting, "head": head, "classes": None if classes is None else list(classes)}


def choose_head(recipe: Recipe, task: Task) -> str:
    """Return how a recipe's models score candidates: as it says, else the setting's first head that fits the task.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        task ([`~w2s_rm.types.Task`]): Its task.

    Raises:
        ConfigError: A head with a logit for each class, and candidates that are no classes.
    """
    fitting = [
        head for head in find_setting(task.setting).heads if task.classes is not None or not HEADS[head].needs_classes
    ]
    if recipe.head is not None and recipe.head not in fitting:
        raise ConfigError(
            f"head {recipe.head} needs fixed classes, and the candidates of task {recipe.task_name} differ from "
            f"example to example; use head {' or '.join(fitting)}, or another form of the task"
        )
    return str(recipe.head or fitting[0])


def _check_world(recipe: Recipe, part: str, spec: ModelSpec, task: Task) -> None:
    """Refuse a model pretrained on another world than the one its task asks about."""
    if spec.pretrain is None:
        return
    model, asked = _corpus(spec.pretrain), dataclasses.asdict(task)  # type: ignore[call-overload]
    corpus = model["name"]
    model = {name: value for name, value in model.items() if name not in ("name", "path")}
    # Options of one name in both, such as the world's seed and size, are what must agree.
    wrong = [
        f"{name} is {model[name]} there and {asked[name]} in task"
        for name in model.keys() & asked.keys()
        if model[name] != asked[name]
    ]
    # A corpus of one's own may be of any world.
    if "world_seed" in asked and "world_seed" not in model and corpus in catalog.names("corpora"):
        wrong = [f"corpus {corpus} is of none"]
    if wrong:
        # Without a corpus of its own it has the default one.
        own = ("corpus",) if "corpus" in spec.pretrain else ()
        place = recipe.place(*recipe.keys_of_part(part), "pretrain", *own)
        raise ConfigError(
            f"{place}: the model knows another world than the task asks about: {'; '.join(sorted(wrong))}; give both "
            "the same"
        )


def _check_unchecked(recipe: Recipe) -> None:
    """Refuse questions with the word `unchecked` where no model has read it: to all of them it is an unknown word."""
    asked = [
        (("task",), recipe.task_options),
        *((("also_evaluate", str(number)), further.options) for number, further in enumerate(recipe.also_evaluate)),
    ]
    places = [recipe.place(*keys, _UNCHECKED) for keys, given in asked if given.get(_UNCHECKED)]
    pretrained = [spec.pretrain for spec in recipe.models().values() if spec.labels is None]
    # Of a model from elsewhere it is not known what it has read.
    if places and None not in pretrained and not any(_UNCHECKED in _words(pretrain or {}) for pretrain in pretrained):
        raise ConfigError(
            f"{places[0]}: puts a word before questions that no model here has read: to all of them it means nothing; "
            "pretrain one on the corpus unchecked, or leave the option out"
        )


def _corpus(pretrain: Mapping[str, Any]) -> dict[str, Any]:
    """The corpus that a model reads, with all its options."""
    # Of any seed, for none of them changes the corpus.
    corpus: dict[str, Any] = Pretraining(**pretrained_by(pretrain, 0)).resolved()["corpus"]
    return corpus


def _words(pretrain: Mapping[str, Any]) -> tuple[str, ...]:
    return Pretraining(**pretrained_by(pretrain, 0)).build_corpus().words
