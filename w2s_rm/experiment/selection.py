"""A task as the command line names it: `boolq path=data.jsonl n_train=2000`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.checks.result import Thresholds
from w2s_rm.data.splits import SIZES, SplitSizes, drawn_by
from w2s_rm.errors import ConfigError, join_problems, nearest
from w2s_rm.experiment.marked_yaml import parse_value
from w2s_rm.options import option_mistakes
from w2s_rm.types import Task


def is_recipe(name: str) -> bool:
    """Whether a word of the command line means a recipe: a YAML file, or a path; all others are names of tasks.

    Args:
        name (`str`): What the user wrote.
    """
    # A path that leads nowhere counts as well: what is missing then is a file, and not a task.
    return Path(name).suffix in (".yaml", ".yml") or Path(name).is_file() or len(Path(name).parts) > 1


def select_task(name: str, overrides: Sequence[str]) -> tuple[Task, SplitSizes]:
    """Build a registered task from `key=value` options and sizes.

    Args:
        name (`str`): A registered task.
        overrides (`Sequence[str]`): Options of the task, and fields of [`~w2s_rm.data.splits.SplitSizes`].

    Raises:
        UnknownNameError: No such task.
        ConfigError: What is wrong with the options and the sizes; all in one message.
    """
    task_class = catalog.lookup("tasks", name)
    options, problems = parse_options(overrides)
    sizes = {key: options.pop(key) for key in SIZES if key in options}
    subject = f"task {name}"
    wrong = option_mistakes(task_class, options, subject, lambda word, known: nearest(word, [*known, *SIZES]))
    problems += map(str, [*wrong, *option_mistakes(SplitSizes, sizes, subject)])
    if problems:
        raise ConfigError(join_problems(f"task {name} (options are written key=value):", problems))
    # Without a recipe there are no seeds, and any will do.
    return task_class(**options), SplitSizes(**drawn_by(sizes, 0))


def parse_thresholds(pairs: Sequence[str]) -> Thresholds:
    """Read `name=value` pairs.

    Args:
        pairs (`Sequence[str]`): For example `["length_only=0.1"]`.

    Raises:
        ConfigError: Unknown names, or values that are no shares; all in one message.
    """
    values, problems = parse_options(pairs)
    problems += map(str, option_mistakes(Thresholds, values, "thresholds"))
    if problems:
        raise ConfigError(join_problems("--threshold:", problems))
    return Thresholds(**values)


def parse_options(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Read `key=value` pairs.

    Args:
        overrides (`Sequence[str]`): For example `["path=data.jsonl", "n_train=2000"]`.

    Returns:
        The values as YAML reads them, and what is wrong.
    """
    values, problems = {}, []
    for override in overrides:
        key, equals, text = override.partition("=")
        if equals and key:
            values[key] = parse_value(text)
        else:
            problems.append(f"{override!r} is no option: write key=value")
    return values, problems
