"""The part `tune:` of a recipe: options with several values, of which one is chosen on the validation split."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog, options
from w2s_rm.data.splits import SplitSizes
from w2s_rm.errors import nearest
from w2s_rm.experiment.fields import training_fields
from w2s_rm.features.options import ANNOTATIONS
from w2s_rm.metrics.trials import FEW, LEAST, visible_difference
from w2s_rm.render.numbers import percent
from w2s_rm.training.evaluations import EVALUATION_OPTIONS
from w2s_rm.training.trainer_options import untunable

if TYPE_CHECKING:
    from w2s_rm.experiment.marked_yaml import KeyPath
    from w2s_rm.experiment.recipe import Checker, Method

LOSS = "loss."
"""Begins the names of a loss' fields among those that are tuned."""
Values = Mapping[str, tuple[Any, ...]]
"""Values to choose from, by the option's name."""
_ONLY_THESE = f"only training options and {LOSS}<field> are tuned"
_DATA = (*(option.name for option in dataclasses.fields(SplitSizes)), "task")


def read_tune(checker: Checker, value: Any, methods: Mapping[str, Method]) -> Values:
    """Check the part `tune:` of a recipe and of its models; mistakes are left with the checker.

    Args:
        checker ([`~w2s_rm.experiment.recipe.Checker`]): Collects mistakes.
        value (`Any`): From YAML; `None` when the recipe has no such part.
        methods (`Mapping[str, Method]`): The recipe's, with the losses whose fields may be tuned.
    """
    tune: dict[str, tuple[Any, ...]] = {}
    for path, name, values in _entries(checker, ("tune",), value):
        if name in tune:
            checker.problem(path, "stands twice, with a dot and inside a mapping; keep one")
        elif _is_choice(checker, path, values) and _fits(checker, path, name, values, methods):
            tune[name] = tuple(values)
    if value is not None:
        if not value:
            checker.problem(("tune",), f"names nothing; for example {{learning_rate: [1e-5, 3e-5]}}; {_ONLY_THESE}")
        _check_fixed(checker, tune, methods)
        _check_validation(checker)
    for part in _parts(checker):
        _check_part(checker, part, tune)
    return tune


def part_values(value: Any) -> Values:
    """Return the lists with which a part of the recipe is tuned in place of the recipe's, as far as they are lists.

    Args:
        value (`Any`): From YAML.
    """
    # Models are read before `read_tune` has said what is wrong here.
    given = value if isinstance(value, dict) else {}
    return {str(name): tuple(values) for name, values in given.items() if isinstance(values, list)}


def too_few(n: int) -> str:
    """Say how little a validation split can show.

    Args:
        n (`int`): Its size.
    """
    return (
        f"{n} examples show a difference of {percent(visible_difference(n))} points (half of a 95 % interval, between "
        f"two models that choose differently on 10 % of them), {FEW} one of {percent(visible_difference(FEW))}"
    )


def refused_few(n: int, what: str) -> str:
    """Say why a validation split of fewer than [`~w2s_rm.metrics.trials.LEAST`] examples chooses nothing.

    Args:
        n (`int`): Its size, 1 or more.
        what (`str`): What it would choose.
    """
    least = f"task.n_validation is {n}, and at least {LEAST} are needed to choose {what}"
    return f"{least}: {too_few(n)}; set it to {FEW} or more"


def _entries(checker: Checker, at: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str, Any]]:
    """Place, name and value of each entry; inside a mapping it begins with the mapping's and a dot."""
    for name, values in checker.mapping(at, value).items():
        if isinstance(values, dict):
            yield from (((*at, str(name), str(field)), f"{name}.{field}", inside) for field, inside in values.items())
        else:
            yield (*at, str(name)), str(name), values


def _is_choice(checker: Checker, path: KeyPath, values: Any) -> bool:
    """Whether a value is a list of several different ones."""
    if not isinstance(values, list):
        checker.problem(path, f"{values!r} is no list of values to choose from; write [{values}, …], or tune nothing")
    elif len(values) < 2:
        state = f"has one value, {values[0]!r}" if values else "is empty"
        checker.problem(path, f"{state}: there is nothing to choose; name two or more, or set it where it is trained")
    # One by one, for values may be lists or mappings, which a set does not take.
    elif twice := [item for number, item in enumerate(values) if item in values[:number]]:
        checker.problem(path, f"repeats {', '.join(map(repr, twice))}; a value is tried once")
    else:
        return True
    return False


def _fits(checker: Checker, path: KeyPath, name: str, values: Sequence[Any], methods: Mapping[str, Method]) -> bool:
    """Whether an option of this name can be tuned, and can have each of the values."""
    before = len(checker.problems)
    if name.startswith(LOSS):
        _check_loss(checker, path, name.removeprefix(LOSS), values, methods)
    elif name.partition(".")[0] in _DATA:
        checker.problem(path, f"changes the data, which must be the same for all; {_ONLY_THESE}")
    elif "." in name:
        checker.problem(path, f"unknown option; {_ONLY_THESE}, of one model alone under its own tune")
    elif name in ANNOTATIONS:
        remedy = "several of layer and l2 are written as a list under train, and chosen from there"
        checker.problem(path, f"is an option of features, not of their training; {remedy}")
    elif name in EVALUATION_OPTIONS:
        what = "which of a training's models is saved" if name == "keep" else "when a training is scored"
        checker.problem(path, f"says {what}, for each trial in the same way; set it once, under train")
    elif name in training_fields() and (reason := untunable(name)):
        checker.problem(path, f"{reason}; {_ONLY_THESE}")
    else:
        for value in values:
            # With each value by itself, as if it stood under `train`: names, types and ranges are checked in one place.
            checker.train(path[:-1], {name: value})
    # Unknown with each of its values, it is still one mistake.
    checker.problems[before:] = dict.fromkeys(checker.problems[before:])
    return len(checker.problems) == before


def _check_loss(
    checker: Checker, path: KeyPath, field: str, values: Sequence[Any], methods: Mapping[str, Method]
) -> None:
    fields = {name: _loss_fields(method.loss) for name, method in methods.items()}
    having = [name for name, known in fields.items() if field in known]
    if not having:
        known = sorted(set().union(*fields.values()))
        hint = nearest(field, known) if known else "their losses have no fields"
        checker.problem(path, f"no method has a loss with a field {field!r}; {hint}")
    # Those without it have fewer trials (`tuning.trials`): that one method has it is enough.
    for name in having:
        for value in values:
            wrong = options.mistakes("losses", {**methods[name].loss, field: value})
            # What is wrong with others is said where they stand.
            checker.report(path, [options.Mistake((), each.text) for each in wrong if each.path[:1] == (field,)])


def _loss_fields(loss: Mapping[str, Any]) -> set[str]:
    """Names of a loss' fields; of one that is not known, none: that is a mistake elsewhere."""
    name = str(loss.get("name"))
    known = catalog.knows("losses", name)
    return {option.name for option in dataclasses.fields(catalog.lookup("losses", name))} if known else set()


def _parts(checker: Checker) -> list[KeyPath]:
    """The places of the models that are trained here."""
    # Not the policy, whose trainers have options of their own.
    more = checker.marked.data.get("models")
    return [("weak",), ("strong",), *(("models", str(name)) for name in (more if isinstance(more, dict) else ()))]


def _inside(checker: Checker, path: KeyPath) -> Mapping[str, Any]:
    """A mapping of the recipe; empty where there is none, or something else, which is said elsewhere."""
    value: Any = checker.marked.data
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _check_fixed(checker: Checker, tune: Values, methods: Mapping[str, Method]) -> None:
    """Refuse one value beside several: neither could be meant without the other being of no account."""
    of_methods: list[KeyPath] = [("methods", name) for name in methods]
    trained: list[KeyPath] = [("train",), *((*path, "train") for path in (*_parts(checker), *of_methods))]
    places = [((*path, name), name) for path in trained for name in tune]
    places += [
        ((*path, "loss", name.removeprefix(LOSS)), name)
        for path in of_methods
        for name in tune
        if name.startswith(LOSS)
    ]
    for path, name in ((path, name) for path, name in places if path[-1] in _inside(checker, path[:-1])):
        where = checker.marked.place(("tune", name))
        checker.problem(path, f"has one value here and several under tune ({where}); keep one of the two")


def _check_validation(checker: Checker) -> None:
    n = _inside(checker, ("task",)).get("n_validation") or 0
    # Said already, with the types of the task's sizes.
    if not isinstance(n, int):
        return
    if n < LEAST:
        state = f"is {n}, at least {LEAST} are needed" if n else "is missing"
        said = f": {too_few(n)}" if n else ""
        text = f"{state} to choose what is tuned by the validation split{said}; set it to {FEW} or more"
        checker.problem(("task", "n_validation"), text)


def _is_student(checker: Checker, part: KeyPath) -> bool:
    """Whether students of a method are trained from what a part describes."""
    methods = _inside(checker, ("methods",))
    return any(isinstance(method, dict) and method.get("model") == part[-1] for method in methods.values())


def _check_part(checker: Checker, part: KeyPath, tune: Values) -> None:
    """Lists of a part stand in place of the recipe's and are as long, so that all have the same number of trials."""
    at, inside = (*part, "tune"), _inside(checker, part)
    given = [name for name in ("labels", "trained") if inside.get(name)]
    if given and inside.get("tune") is not None and not _is_student(checker, part):
        checker.problem(at, f"with {given[0]} nothing is trained here that could be chosen; remove one of the two")
        return
    for path, name, values in _entries(checker, at, inside.get("tune")):
        if name.startswith(LOSS):
            checker.problem(path, "a loss is the method's; write its values under the recipe's own tune")
        elif name not in tune:
            hint = nearest(name, list(tune)) if tune else "it has none"
            checker.problem(path, f"stands in place of a list of the recipe's own tune; {hint}")
        elif _is_choice(checker, path, values) and len(values) != len(tune[name]):
            text = f"has {len(values)} values, and the recipe's own tune {len(tune[name])}"
            checker.problem(path, f"{text}: all models have the same number of trials; name as many")
        elif isinstance(values, list):
            _fits(checker, path, name, values, {})
