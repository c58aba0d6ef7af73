"""The `policy:` part of a recipe: which policy is optimised against the run's reward models, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog
from w2s_rm.errors import ConfigError, nearest
from w2s_rm.experiment.fields import policy_fields
from w2s_rm.policies import RESERVED
from w2s_rm.types import Verifiable

if TYPE_CHECKING:
    from w2s_rm.experiment.marked_yaml import KeyPath
    from w2s_rm.experiment.recipe import Checker, ModelSpec

NUMBERS = {"max_completion_length": None, "samples": 4, "evaluations": 8}
"""Whole numbers of the part, with their defaults; `None` must be given."""
POLICY_KEYS = ("methods", "train", *NUMBERS)
"""What the part has beside the keys of a model."""
_METHOD = ("trainer", "train")


@dataclass(frozen=True)
class PolicyMethod:
    """One way to optimise the policy.

    Args:
        trainer (`str`): Name of a file in `w2s_rm/policies`.
        train (`Mapping`): Fields of that trainer's configuration.
    """

    trainer: str
    train: Mapping[str, Any]


@dataclass(frozen=True)
class PolicySpec:
    """The policy of a recipe.

    Args:
        model ([`~w2s_rm.experiment.recipe.ModelSpec`]): The policy that every optimisation starts from.
        methods (`Mapping[str, PolicyMethod]`): By name.
        max_completion_length (`int`): Most tokens of a completion.
        samples (`int`): Completions of each test prompt that are judged.
        evaluations (`int`): How often during training they are.
    """

    model: ModelSpec
    methods: Mapping[str, PolicyMethod]
    max_completion_length: int
    samples: int
    evaluations: int


def read_policy(checker: Checker, value: Any) -> PolicySpec | None:
    """Check the part `policy:` of a recipe; mistakes are left with the checker.

    Args:
        checker ([`~w2s_rm.experiment.recipe.Checker`]): Collects mistakes.
        value (`Any`): From YAML; `None` when the recipe has no such part.
    """
    if value is None:
        return None
    data = checker.mapping(("policy",), value)
    model = checker.model("policy", {name: data[name] for name in data if name not in POLICY_KEYS})
    numbers = {name: _number(checker, name, data.get(name, default)) for name, default in NUMBERS.items()}
    shared = checker.mapping(("policy", "train"), data.get("train"))
    checker.values(("policy", "train"), shared)
    methods = _methods(checker, data.get("methods"), shared)
    _check_data(checker)
    return PolicySpec(model, methods, **numbers)


def _number(checker: Checker, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        state = "is missing" if value is None else f"is {value!r}"
        checker.problem(("policy", name), f"{state}; write a whole number, 1 or more")
        # Any that is right: the recipe is refused in any case, and the rest of it is still to be checked.
        return 1
    return value


def _methods(checker: Checker, value: Any, shared: Mapping[str, Any]) -> dict[str, PolicyMethod]:
    methods, named = {}, checker.mapping(("policy", "methods"), value)
    for name, entry in named.items():
        path = ("policy", "methods", str(name))
        data = checker.mapping(path, entry)
        checker.keys(path, data, _METHOD)
        trainer, known = str(data.get("trainer", name)), catalog.names("policies")
        if trainer not in known:
            checker.problem((*path, "trainer"), f"no policy trainer {trainer!r}; {nearest(trainer, known)}")
            # Without it nobody can say which options there are.
            continue
        train = checker.mapping((*path, "train"), data.get("train"))
        # For each trainer anew: an option that all of them get is known to some and not to others.
        _check_options(checker, trainer, ("policy", "train"), shared)
        _check_options(checker, trainer, (*path, "train"), train)
        checker.values((*path, "train"), train)
        methods[str(name)] = PolicyMethod(trainer, {**shared, **train})
    if not named:
        checker.problem(("policy", "methods"), "names no method; for example dpo: {trainer: dpo}")
    return methods


def _check_options(checker: Checker, trainer: str, path: KeyPath, options: Mapping[str, Any]) -> None:
    try:
        known = policy_fields(trainer)
    except ConfigError as error:
        checker.problem(("policy", "methods"), str(error))
        return
    checker.known(path, options, known, RESERVED, trainer)


def _check_data(checker: Checker) -> None:
    """Prompts must be left for the policy, and there must be someone to say whether an answer is right."""
    task = checker.mapping(("task",), checker.marked.data.get("task"))
    if not task.get("n_validation"):
        text = "a policy is trained on the prompts of the validation split, which no reward model has seen; set it"
        checker.problem(("task", "n_validation"), text)
    name, known = str(task.get("name")), catalog.names("tasks")
    verifiable = [task_name for task_name in known if issubclass(catalog.lookup("tasks", task_name), Verifiable)]
    if name in known and name not in verifiable:
        text = f"task {name} cannot judge what a policy writes; these can: {', '.join(verifiable)}"
        checker.problem(("policy",), f"{text}; add a method judge(example, completion) to the task")
