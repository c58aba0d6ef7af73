"""Read a task, check every row, split it by group and put candidates into hashed order.

python -m w2s_rm.stages.prepare --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm import catalog
from w2s_rm.data.examples import hash_order, write_examples
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import DataError, join_problems
from w2s_rm.stages._common import held, read_config, refuse_finished, run_main
from w2s_rm.types import Example, Task


def prepare(argv: Sequence[str]) -> None:
    """Run the stage: writes `examples/<split>.parquet` for weak, relabel, validation, test, unused.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        DataError: Rows that are no examples (all of them named), or too few groups for the splits.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        options = dict(config["task"])
        name = options.pop("name")
        examples = read_task(catalog.lookup("tasks", name)(**options), name)
        splits = split_examples(examples, SplitSizes(**config["sizes"]), name)
        counts = {"duplicates": splits.duplicates, "contradictions": splits.contradictions}
        counts["groups"] = len({example.group for example in examples})
        parts = {"weak": splits.weak, "relabel": splits.relabel, "validation": splits.validation, "test": splits.test}
        taken = {example.id for part in parts.values() for example in part}
        parts["unused"] = tuple(example for example in examples if example.id not in taken)
        for split, part in parts.items():
            write_examples(output / "examples" / f"{split}.parquet", [hash_order(example) for example in part])
            counts[f"n_{split}"] = len(part)
        folder.finish(stage="prepare", counts=counts, config=config)


def read_task(task: Task, name: str) -> list[Example]:
    """Read all examples of a task.

    Args:
        task ([`~w2s_rm.types.Task`]): The task with its options.
        name (`str`): Its name, for messages.

    Raises:
        DataError: All rows that are no examples, in one message.
    """
    examples, problems = [], []
    for row in task.rows():
        try:
            examples.append(task.to_example(row))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(join_problems(f"task {name}: {len(problems)} rows cannot be used", problems))
    return examples


if __name__ == "__main__":
    run_main(prepare)
