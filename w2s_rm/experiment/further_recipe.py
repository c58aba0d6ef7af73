"""The part `also_evaluate:` of a recipe: further tasks on which all of its models are scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm import catalog, options
from w2s_rm.data.splits import SIZES, SplitSizes
from w2s_rm.types import Task

if TYPE_CHECKING:
    from w2s_rm.experiment.marked_yaml import KeyPath
    from w2s_rm.experiment.recipe import Checker

NAMED_AS = "as"
"""The key under which a task has another name for display."""


@dataclass(frozen=True)
class FurtherTask:
    """A task on which models are scored that were trained on another.

    Args:
        name (`str`): Registered task.
        label (`str`): Its name for display, which no other task of the recipe has.
        options (`Mapping`): Fields of the task.
        sizes (`Mapping`): Fields of [`~w2s_rm.data.splits.SplitSizes`]; without `n_train` all groups may be tested.
    """

    name: str
    label: str
    options: Mapping[str, Any]
    sizes: Mapping[str, Any]

    def task(self) -> Task:
        """Build the task from its options."""
        task: Task = options.build("tasks", {**self.options, "name": self.name})
        return task


def read_further(checker: Checker, value: Any) -> tuple[FurtherTask, ...]:
    """Check the part `also_evaluate:` of a recipe; mistakes are left with the checker.

    Args:
        checker ([`~w2s_rm.experiment.recipe.Checker`]): Collects mistakes.
        value (`Any`): From YAML; `None` when the recipe has no such part.
    """
    if value is not None and not isinstance(value, list):
        checker.problem(("also_evaluate",), f"{value!r} is no list; write [{{name: …}}, …]")
        return ()
    task = checker.marked.data.get("task")
    home = task if isinstance(task, dict) else {}
    # Of each label where it stands first.
    taken: dict[str, str] = {str(home.get(NAMED_AS, home.get("name"))): "task"}
    tasks = []
    for number, entry in enumerate(value or ()):
        path = ("also_evaluate", str(number))
        if not isinstance(entry, str | dict):
            checker.problem(path, f"{entry!r} is no task; write its name, or name and options")
            continue
        further = _read(checker, path, options.named(entry))
        _check_setting(checker, path, further.name, str(home.get("name")))
        if further.label in taken:
            checker.problem(path, f"is called {further.label} as {taken[further.label]} is; name it with {NAMED_AS}: …")
        taken.setdefault(further.label, ".".join(path))
        tasks.append(further)
    return tuple(tasks)


def read_task(
    checker: Checker, path: KeyPath, data: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """Check a task; return its name for display, its options and its sizes.

    Args:
        checker ([`~w2s_rm.experiment.recipe.Checker`]): Collects mistakes.
        path (`tuple[str, ...]`): Where it stands.
        data (`Mapping`): `name`, options and sizes.
    """
    sizes = {name: data[name] for name in SIZES if data.get(name) is not None}
    checker.report(path, options.option_mistakes(SplitSizes, sizes, "task"))
    if "cue_agreement" in sizes and "cue" not in sizes:
        text = (
            "says how often a word goes with the right answer, and there is none; name it with cue, or leave this out"
        )
        checker.problem((*path, "cue_agreement"), text)
    named = {name: value for name, value in data.items() if name not in (*SIZES, NAMED_AS)}
    checker.component(path, "tasks", named, beside=(*SIZES, NAMED_AS))
    label = data.get(NAMED_AS, data.get("name"))
    if NAMED_AS in data and not (isinstance(label, str) and label.strip()):
        checker.problem((*path, NAMED_AS), f"{label!r} is no name; write text")
    return str(label), {k: v for k, v in named.items() if k != "name"}, sizes


def _read(checker: Checker, path: KeyPath, data: Mapping[str, Any]) -> FurtherTask:
    label, task_options, sizes = read_task(checker, path, data)
    # Nothing is trained on it, so all its examples may be tested unless its sizes say otherwise.
    alone = {} if "n_train" in data else {"n_train": 0}
    return FurtherTask(str(data.get("name")), label, task_options, {**alone, **sizes})


def _check_setting(checker: Checker, path: KeyPath, name: str, home: str) -> None:
    # Said already, where the name stands.
    if not catalog.knows("tasks", name) or not catalog.knows("tasks", home):
        return
    own, wanted = (catalog.lookup("tasks", task).setting for task in (name, home))
    if own != wanted:
        checker.problem(path, f"task {name} is of setting {own}, and the recipe's models are of setting {wanted}")
