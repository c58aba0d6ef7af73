"""A starter recipe for a dataset and two models: a task reads the data, and the recipe is planned before it is kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from w2s_rm import options
from w2s_rm.data.grouping import GroupBy, is_instruction
from w2s_rm.data.messages import words
from w2s_rm.data.reading import is_hub_id
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.experiment.dataset_form import recognise
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import SIZES, load_recipe
from w2s_rm.experiment.selection import parse_options
from w2s_rm.experiment.starter_text import Found, recipe_text
from w2s_rm.files import replacing
from w2s_rm.programs.prepare import read_task
from w2s_rm.runs.places import model_layers, resolve_model
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Example, Task, Text

_MOST_TEST = 2000
# Of Lichess's millions, where they come from the hub.
_PUZZLES = 30_000
# English has about four to a token, as a rule of thumb; with three, texts that are denser fit as well.
_CHARACTERS_PER_TOKEN = 3
_LONGEST, _SHORTEST = 2048, 64
# Shares of the rows: a group of a tenth is half of a test split, and shared responses of a hundredth tell little.
_LARGE_GROUP = 0.1
_SHARED = 0.01


def write_starter(dataset: str, overrides: Sequence[str], weak: str, strong: str, output: Path) -> Found:
    """Write a starter recipe.

    Args:
        dataset (`str`): File, folder, hub id, or `package:<module>/<path>`.
        overrides (`Sequence[str]`): `key=value` options and sizes of the task.
        weak (`str`): The supervisor: folder, hub id, or `package:<module>/<folder>`.
        strong (`str`): Student and ceiling, likewise.
        output (`Path`): Where it goes; nothing may be there.

    Raises:
        W2SError: The dataset cannot be read, or is of no known form; a model is not there; `plan` refuses the recipe;
            the file exists.
    """
    if output.exists():
        raise ConfigError(f"{output} exists and is not overwritten; remove it, or give another --output")
    layers = _layers_of_weak(weak, strong)
    recognised = find_form(dataset, overrides)
    text = recipe_text(recognised, weak, strong, layers, output)
    # What `plan` does not take is not left behind.
    with replacing(output) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
        make_plan(load_recipe(unfinished), Path("runs"))
    return recognised


def _layers_of_weak(weak: str, strong: str) -> int | None:
    """How many layers of the strong model the weak one keeps; `None` where they are two models."""
    for option, name in (("--weak", weak), ("--strong", strong)):
        try:
            resolve_model(name)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error}") from error
    if weak != strong:
        return None
    layers = model_layers(resolve_model(strong))
    if layers is None or layers < 2:
        raise ConfigError(f"--weak and --strong are both {weak!r}, which leaves no gap to recover; name two models")
    # The first third of them: of one model, a weak part that leaves the whole something to recover.
    return max(1, layers // 3)


def find_form(dataset: str, overrides: Sequence[str]) -> Found:
    """Read a dataset and say how an experiment can use it.

    Args:
        dataset (`str`): File, folder, hub id, or `package:<module>/<path>`.
        overrides (`Sequence[str]`): `key=value` options and sizes of the task.

    Raises:
        W2SError: It cannot be read, is of no known form, or has too few examples.
    """
    values, problems = parse_options(overrides)
    if problems:
        raise ConfigError(join_problems(f"{dataset}:", problems))
    sizes = {name: values.pop(name) for name in SIZES if name in values}
    form = recognise(dataset, values)
    if form.task == "lichess_puzzles" and is_hub_id(dataset) and "n_examples" not in values:
        form = replace(form, options={**form.options, "n_examples": _PUZZLES})
    task: Task = options.build("tasks", {"name": form.task, **form.options})
    examples = read_task(task, form.task).examples
    if isinstance(task, Preference) and not {"group_by", "group_column"} & set(values):
        group_by, why = suggest_grouping(task, examples)
        form = replace(form, options={**form.options, "group_by": group_by}, remarks={**form.remarks, "group_by": why})
        task = replace(task, group_by=group_by)
        # Read again, for groups are made as rows are read.
        if group_by != "prompt":
            examples = read_task(task, form.task).examples
    fitting = fitting_sizes(examples, sizes, form.task, task)
    return Found(form, fitting, len(examples), _max_length(examples))


def suggest_grouping(task: Preference, examples: Sequence[Example]) -> tuple[GroupBy, str]:
    """Say which comparisons are to stay in one split, and why.

    Args:
        task ([`~w2s_rm.tasks.preference.Preference`]): Groups by the prompt.
        examples (`Sequence[Example]`): All of its examples.
    """
    in_all = is_instruction(max(Counter(example.group for example in examples).values()), len(examples))
    counts = Counter(key for example in examples for key in example.candidate_ids)
    shared = sum(any(counts[key] > 1 for key in example.candidate_ids) for example in examples) / len(examples)
    if not in_all and shared < _SHARED:
        return "prompt", "rows with the same prompt stay in one split"
    joined = Counter(example.group for example in replace(task, group_by="candidates").regroup(list(examples)))
    # Joined in chains: a response in two rows joins these, each of which may share its other one with a third. What
    # comes of it may be one group of nearly everything.
    if max(joined.values()) <= _LARGE_GROUP * len(examples):
        return "candidates", "responses stand in several rows; those that share one stay in one split"
    if not in_all:
        return (
            "prompt",
            f"but {shared:.0%} of the rows share a response with another: w2s-rm check says what that tells",
        )
    return {"first_words": 5}, "the prompt is one for many rows, and responses stand in several: by their first words"


def fitting_sizes(examples: Sequence[Example], given: dict[str, Any], name: str, task: Task) -> dict[str, Any]:
    """Return sizes of the splits that fit, train to test as 4 to 1; those that are given as they are.

    Args:
        examples (`Sequence[Example]`): All examples.
        given (`dict[str, Any]`): Fields of [`~w2s_rm.data.splits.SplitSizes`].
        name (`str`): The task, for messages.
        task ([`~w2s_rm.types.Task`]): Says whether its classes are balanced.

    Raises:
        DataError: Too few examples; says what would fit.
    """
    n_classes = len(task.classes) if task.classes is not None and task.balanced else None
    sizes: SplitSizes = options.build_options(SplitSizes, given, "sizes")
    if isinstance(sizes.draw, str):
        sizes = replace(sizes, draw=0)
    parts = split_examples(examples, sizes, name, n_classes)
    # Only now, after splitting, which refuses sizes that do not fit.
    if given:
        return given
    # With this proportion the splits are as wide as those that were just counted, so that these sizes fit.
    n_test = _round(min(len(parts.test), len(parts.weak) // 2, len(parts.relabel) // 2, _MOST_TEST))
    if n_test < 1:
        need = "the weak supervisor needs 2, and so does the student"
        raise ConfigError(f"{name}: too few examples for an experiment ({len(examples)}): {need}; add data")
    return {"n_train": 4 * n_test, "n_test": n_test}


def _round(number: int) -> int:
    """Down to two digits."""
    step = 10 ** max(0, len(str(number)) - 2)
    return number // step * step


def _max_length(examples: Sequence[Example]) -> int:
    """The power of two that holds 95 % of the examples, in tokens of three characters."""
    lengths = sorted(
        len(_said(example.prompt)) + max(len(_said(text)) for text in example.candidates) for example in examples
    )
    tokens = lengths[math.ceil(0.95 * len(lengths)) - 1] / _CHARACTERS_PER_TOKEN
    return min(_LONGEST, max(_SHORTEST, 2 ** math.ceil(math.log2(tokens))))


def _said(text: Text) -> str:
    return text if isinstance(text, str) else "\n".join(map(words, text))
