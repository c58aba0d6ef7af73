"""Read a task, check every row, split it by group, and look for leaks and shortcuts."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.checks import check_examples
from w2s_rm.data.examples import hash_order, write_examples
from w2s_rm.data.reading import KeptRows
from w2s_rm.data.splits import Splits, SplitSizes, split_examples
from w2s_rm.errors import DataError, join_problems
from w2s_rm.files import write_json
from w2s_rm.options import build
from w2s_rm.programs.launched import held, read_config, refuse_finished
from w2s_rm.types import Example, Regrouping, Row, Task, Unfolding

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TaskExamples:
    """What the rows of a task became.

    Args:
        examples (`list[Example]`): One for each row that is used, or for each step of it.
        left_out (`Mapping[str, int]`): How many rows are not used, by why.
    """

    examples: list[Example]
    left_out: Mapping[str, int]


def prepare(argv: Sequence[str]) -> None:
    """Run the stage: writes `examples/<split>.parquet` for weak, relabel, validation, test, unused, and `check.json`.

    Candidates that are no classes are put into hashed order.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        DataError: Rows that are no examples (all of them named), or too few groups for the splits.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        name, task = config["task"]["name"], build("tasks", config["task"])
        read, splits = read_splits(task, name, SplitSizes(**config["sizes"]))
        examples = read.examples
        counts: dict[str, Any] = {"duplicates": splits.duplicates, "contradictions": splits.contradictions}
        used = [example for part in splits.parts.values() for example in part]
        soft = [example for example in used if example.truth is not None and max(example.truth) < 1.0]
        ties = sum(example.gold is None for example in soft)
        counts |= {"left_out": dict(read.left_out), "soft_truths": len(soft), "ties": ties}
        if ties:
            logger.warning("task %s: %d of %d examples are ties; no accuracy counts them", name, ties, len(used))
        groups = Counter(example.group for example in examples)
        counts |= {"groups": len(groups), "largest_group": max(groups.values())}
        parts, taken = splits.parts, {example.id for example in used}
        # Before anything is written: it may find a mistake too.
        check = check_examples(parts, task.classes)
        # For whoever wants examples that no model has seen, as `w2s-rm export --split unused` does.
        unused = tuple(example for example in examples if example.id not in taken)
        for split, part in {**parts, "unused": unused}.items():
            # Many datasets store the right candidate first, which the order must not tell. Classes have fixed places.
            ordered = [hash_order(example) for example in part] if task.classes is None else part
            write_examples(output / "examples" / f"{split}.parquet", ordered)
            counts[f"n_{split}"] = len(part)
        write_json(output / "check.json", dataclasses.asdict(check))
        folder.finish(stage="prepare", counts={**counts, **check.counts()}, config=config)


def read_splits(task: Task, name: str, sizes: SplitSizes) -> tuple[TaskExamples, Splits]:
    """Read all examples of a task and draw its splits, balanced where the task asks for it.

    Args:
        task ([`~w2s_rm.types.Task`]): The task with its options.
        name (`str`): Its name, for messages.
        sizes ([`~w2s_rm.data.splits.SplitSizes`]): How many examples to use.

    Raises:
        DataError: Rows that are no examples, or too few for the splits.
    """
    read = read_task(task, name)
    n_classes = len(task.classes) if task.classes is not None and task.balanced else None
    return read, split_examples(read.examples, sizes, name, n_classes, has_classes=task.classes is not None)


def read_task(task: Task, name: str) -> TaskExamples:
    """Read all examples of a task.

    Args:
        task ([`~w2s_rm.types.Task`]): The task with its options.
        name (`str`): Its name, for messages.

    Raises:
        DataError: All rows that are no examples, or have no ground truth in a task that has one, in one message.
    """
    examples, problems = [], []
    rows = task.rows()
    for row in rows:
        try:
            of_row = [_with_classes(example, task.classes, row.place) for example in row_examples(task, row)]
            if task.has_ground_truth and any(example.targets is None for example in of_row):
                raise DataError(f"{row.place}: it has no ground truth, and other rows have; fill it, or drop the row")
            examples += of_row
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(join_problems(f"task {name}: {len(problems)} rows cannot be used", problems))
    grouped = task.regroup(examples) if isinstance(task, Regrouping) else examples
    # `rows` has been read to its end, and only now knows what it left out.
    return TaskExamples(grouped, rows.left_out if isinstance(rows, KeptRows) else {})


def places(task: Task, name: str) -> dict[str, int]:
    """Say of which row of its data each example of a task is made, counted from 0; of equal rows the first.

    Args:
        task ([`~w2s_rm.types.Task`]): The task with its options.
        name (`str`): Its name, for messages.

    Raises:
        DataError: As in [`read_task`].
    """
    ids = [example.id for example in read_task(task, name).examples]
    return {id: place for place, id in reversed(list(enumerate(ids)))}


def row_examples(task: Task, row: Row) -> list[Example]:
    """Turn a row of a task into its examples: one, or of a solution one for each step.

    Args:
        task ([`~w2s_rm.types.Task`]): The task.
        row ([`~w2s_rm.types.Row`]): One record.

    Raises:
        DataError: The row is no example.
    """
    return task.to_examples(row) if isinstance(task, Unfolding) else [task.to_example(row)]


def _with_classes(example: Example, classes: tuple[str, ...] | None, place: str) -> Example:
    if classes is not None and example.candidates != classes:
        raise DataError(f"{place}: candidates are {example.candidates}, the task's classes {classes}; mend the task")
    return example
