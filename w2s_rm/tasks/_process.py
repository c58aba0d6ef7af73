"""What all tasks of solutions in steps share: from a solution to an example for each of its steps."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.data.reading import content_version, read_rows
from w2s_rm.errors import DataError
from w2s_rm.types import Example, Row, Step, content_hash

WRONG_RIGHT = (" wrong", " right")
"""The classes of a step. The second is the right one, as in TRL's stepwise supervision."""


@dataclass(frozen=True)
class Solution:
    """A problem with a solution in steps, as a dataset has it.

    Args:
        problem (`str`): All that stands before the first step, what parts it from that included.
        steps (`tuple[str, ...]`): At least one.
        labels (`tuple[int, ...]`): For each step whether it is right, 1 or 0.
        right (`bool` or `None`): Whether the solution as a whole is right; `None` where that is not known.
        group (`str`, *optional*): What keeps solutions together; by default a hash of the problem.
        id (`str`, *optional*): By default a hash of the content.
    """

    problem: str
    steps: tuple[str, ...]
    labels: tuple[int, ...]
    right: bool | None
    group: str | None = None
    id: str | None = None


def so_far(labels: Sequence[int]) -> tuple[int, ...]:
    """Say of each step whether all up to it are right: 1 or 0.

    Args:
        labels (`Sequence[int]`): For each step whether it is right by itself.
    """
    # The minimum so far: from the first 0 on, all is 0.
    return tuple(itertools.accumulate(labels, min))


def step_examples(solution: Solution, separator: str) -> list[Example]:
    """Make an example of each step: the problem with the solution up to it, and the classes wrong and right.

    Args:
        solution ([`Solution`]): The solution.
        separator (`str`): What stands behind each step.
    """
    id = solution.id or content_hash(solution.problem, solution.steps)
    group = solution.group or content_hash(solution.problem)
    text, examples = solution.problem, list[Example]()
    cuts: tuple[int, ...] = (len(text),)
    for number, (step, label) in enumerate(zip(solution.steps, solution.labels, strict=True)):
        # The separator is a piece of its own, as TRL tokenises it, so that it does not melt into a step's last token.
        cuts = (*cuts, len(text) + len(step), len(text) + len(step) + len(separator))
        text += step + separator
        # Whether the whole is right goes along with every step: a solution is put together again from its examples.
        place = Step(id, number, number == len(solution.steps) - 1, cuts, solution.right)
        examples.append(Example(f"{id}-{number}", group, text, WRONG_RIGHT, label, step=place))
    return examples


def checked_steps(row: Row, steps: object, labels: object, names: tuple[str, str]) -> tuple[str, ...]:
    """Return the steps of a row, where they are texts and have a label each.

    Args:
        row ([`~w2s_rm.types.Row`]): The record, for messages.
        steps (`object`): What should be a list of texts.
        labels (`object`): What should be a list of as many labels.
        names (`tuple[str, str]`): The columns of both.

    Raises:
        DataError: No steps, something else than texts, or another number of labels.
    """
    if not isinstance(steps, list | tuple) or not all(isinstance(step, str) for step in steps):
        raise DataError(
            f"{row.place}: {names[0]!r} is no list of texts; give the steps of the solution, each as a text"
        )
    if not steps:
        raise DataError(f"{row.place}: {names[0]!r} holds no steps; drop the row, or give the solution step by step")
    if not isinstance(labels, list | tuple) or len(labels) != len(steps):
        found = f"{len(labels)} labels" if isinstance(labels, list | tuple) else "no list of labels"
        raise DataError(
            f"{row.place}: {names[1]!r} holds {found} for the {len(steps)} steps in {names[0]!r}; give one for each "
            "step, or drop the row"
        )
    return tuple(steps)


@dataclass(frozen=True)
class ProcessTask(ABC):
    """Solutions in steps. What is judged is the solution up to a step: right as long as it holds no mistake.

    Args:
        path (`str`): Hub id, or file or folder with the same columns; see
            [`read_rows`][w2s_rm.data.reading.read_rows].
        split (`str`, *optional*): Which rows of `path`; by default all. The splits of an experiment are drawn by hash
            from these.
        config_name (`str`, *optional*): Configuration of a hub dataset.
        revision (`str`, *optional*): Branch, tag or commit of a hub dataset.
        separator (`str`, *optional*, defaults to `"\\n"`): Stands behind each step; where it ends, the model is read.
            As `step_separator` of TRL's `PRMConfig`.
    """

    path: str
    split: str | None = None
    config_name: str | None = None
    revision: str | None = None
    separator: str = "\n"

    setting: ClassVar[str] = "process"
    example_row: ClassVar[Mapping[str, Any]]
    has_ground_truth: ClassVar[bool] = True
    classes: ClassVar[tuple[str, ...]] = WRONG_RIGHT
    # A class that is taken less often would tear solutions apart.
    balanced: ClassVar[bool] = False

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.revision)

    def rows(self) -> Iterator[Row]:
        """Read the dataset."""
        return read_rows(self.path, self.split, config_name=self.config_name, revision=self.revision)

    @abstractmethod
    def solution(self, row: Row) -> Solution:
        """Read one record.

        Args:
            row ([`~w2s_rm.types.Row`]): One record.

        Raises:
            DataError: No solution in steps with a label each; says where, why and what to do.
        """

    def to_examples(self, row: Row) -> list[Example]:
        """Turn a row into an example for each step; see [`Unfolding`][w2s_rm.types.Unfolding]."""
        return step_examples(self.solution(row), self.separator)

    def to_example(self, row: Row) -> Example:
        """Turn a row into the example of its last step; see [`Task`][w2s_rm.types.Task]."""
        return self.to_examples(row)[-1]
