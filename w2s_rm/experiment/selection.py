"""A task as the command line names it: `boolq path=data.jsonl n_train=2000`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.checks.result import Thresholds
from w2s_rm.data.splits import SplitSizes
from w2s_rm.errors import ConfigError, join_problems, nearest
from w2s_rm.experiment.fields import is_required, type_problem
from w2s_rm.experiment.marked_yaml import parse_value
from w2s_rm.types import Task

_SIZES = {option.name: str(option.type) for option in dataclasses.fields(SplitSizes)}


def is_recipe(name: str) -> bool:
    """Whether a word of the command line means a recipe: a YAML file, or a path; all others are names of tasks.

    Args:
        name (`str`): What the user wrote.
    """
    return Path(name).suffix in (".yaml", ".yml") or Path(name).is_file() or len(Path(name).parts) > 1


def select_task(name: str, overrides: Sequence[str]) -> tuple[Task, SplitSizes]:
    """Build a registered task from `key=value` options and sizes.

    Args:
        name (`str`): A registered task.
        overrides (`Sequence[str]`): Options of the task, `n_train`, `n_validation`, `n_test`.

    Raises:
        UnknownNameError: No such task.
        ConfigError: Options the task does not have or needs, or values of another type; all in one message.
    """
    task_class = catalog.lookup("tasks", name)
    options, problems = _parse(overrides)
    fields = {option.name: option for option in dataclasses.fields(task_class)}
    known = {**{field: str(option.type) for field, option in fields.items()}, **_SIZES}
    problems += _problems(options, known)
    required = [field for field, option in fields.items() if is_required(option)]
    problems += [f"task {name} needs {field}: add {field}=…" for field in required if options.get(field) is None]
    if problems:
        raise ConfigError(join_problems(f"task {name}:", problems))
    sizes = {key: options.pop(key) for key in _SIZES if key in options}
    return task_class(**options), SplitSizes(**sizes)


def parse_thresholds(given: Sequence[str]) -> Thresholds:
    """Read `name=value` pairs.

    Args:
        given (`Sequence[str]`): For example `["length_only=0.1"]`.

    Raises:
        ConfigError: Unknown names, or values that are no shares; all in one message.
    """
    values, problems = _parse(given)
    problems += _problems(values, {option.name: str(option.type) for option in dataclasses.fields(Thresholds)})
    if problems:
        raise ConfigError(join_problems("--threshold:", problems))
    return Thresholds(**values)


def _parse(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    values, problems = {}, []
    for override in overrides:
        key, equals, text = override.partition("=")
        if equals and key:
            values[key] = parse_value(text)
        else:
            problems.append(f"{override!r} is no option: write key=value")
    return values, problems


def _problems(values: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    found = [f"unknown option {key!r}; {nearest(key, known)}" for key in values if key not in known]
    for key, value in values.items():
        wrong = type_problem(value, known.get(key, "Any"))
        if wrong:
            found.append(f"{key}: {wrong}")
    return found
