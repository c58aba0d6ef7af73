"""How the models of one method do on one task, their own or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs


@dataclass(frozen=True)
class TransferRow:
    """One method of one run on one task. Accuracies are shares, `_low` and `_high` the ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        trained_on (`str`): The run's own task.
        tested_on (`str`): The task that models were scored on.
        test_task (`str`): Its registered name.
        test_source (`str`): Identifies the content of its data.
        home (`bool`): Whether it is the run's own.
        method (`str`): The method.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        n_scored (`int`): Test examples with ground truth.
        n_seen (`int` or `None`): Test examples, prompt and candidates, that stand in the splits that the run's models
            were trained or chosen on; `None` where examples were not kept beside the results.
        weak_accuracy (`float` or `None`): Of the weak supervisor; `None` where it is a file of labels, which says
            nothing of other tasks.
        weak_low (`float` or `None`): Lower end.
        weak_high (`float` or `None`): Upper end.
        student_accuracy (`float` or `None`): Of the student; `None` without ground truth.
        student_low (`float` or `None`): Lower end.
        student_high (`float` or `None`): Upper end.
        ceiling_accuracy (`float` or `None`): Of the ceiling.
        ceiling_low (`float` or `None`): Lower end.
        ceiling_high (`float` or `None`): Upper end.
        zero_shot_accuracy (`float` or `None`): Of the student's model before any training.
        zero_shot_low (`float` or `None`): Lower end.
        zero_shot_high (`float` or `None`): Upper end.
        gain (`float` or `None`): Student minus weak accuracy.
        gain_low (`float` or `None`): Lower end, paired: same examples and seeds for both.
        gain_high (`float` or `None`): Upper end.
        gap (`float` or `None`): Ceiling minus weak accuracy.
        gap_low (`float` or `None`): Lower end.
        gap_high (`float` or `None`): Upper end.
        pgr (`float` or `None`): Performance gap recovered.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the interval of the gap is above zero.
        n_other_tasks (`int`): Further tasks on which both student and supervisor were scored.
        out_of_distribution_gain (`float` or `None`): Mean gain over these; the same in all rows of a run and method.
        out_of_distribution_gain_low (`float` or `None`): Lower end.
        out_of_distribution_gain_high (`float` or `None`): Upper end.
    """

    recipe: str
    setting: str
    trained_on: str
    tested_on: str
    test_task: str
    test_source: str
    home: bool
    method: str
    seeds: tuple[int, ...]
    n_scored: int
    n_seen: int | None
    weak_accuracy: float | None
    weak_low: float | None
    weak_high: float | None
    student_accuracy: float | None
    student_low: float | None
    student_high: float | None
    ceiling_accuracy: float | None
    ceiling_low: float | None
    ceiling_high: float | None
    zero_shot_accuracy: float | None
    zero_shot_low: float | None
    zero_shot_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None
    n_other_tasks: int
    out_of_distribution_gain: float | None
    out_of_distribution_gain_low: float | None
    out_of_distribution_gain_high: float | None


Column = tuple[str, str, str]
"""What makes tests of several runs the same: label, registered name and content."""


def column_of(row: TransferRow) -> Column:
    """Return what a row's test has in common with that of other runs.

    Args:
        row ([`TransferRow`]): The row.
    """
    return row.tested_on, row.test_task, row.test_source


def columns_of(rows: Sequence[TransferRow]) -> dict[Column, str]:
    """Name the tasks of a matrix, first those that models were trained on, in the order of the runs.

    Args:
        rows (`Sequence[TransferRow]`): Rows of any number of runs.
    """
    ordered = [row for row in rows if row.home] + [row for row in rows if not row.home]
    first: dict[Column, TransferRow] = {}
    for row in ordered:
        first.setdefault(column_of(row), row)
    labels = [column[0] for column in first]
    # Different data under one name, such as two files of `preference`, must not be taken for one task.
    return {
        column: column[0] if labels.count(column[0]) == 1 else f"{column[0]} of {row.recipe}"
        for column, row in first.items()
    }


@dataclass(frozen=True)
class MatrixLine:
    """The rows of one method of one run.

    Args:
        name (`str`): What it was trained on, with the run where another one was trained on what is called the same.
        method (`str`): The method.
        cells (`Mapping[Column, TransferRow]`): By what was tested.
    """

    name: str
    method: str
    cells: Mapping[Column, TransferRow]

    @property
    def first(self) -> TransferRow:
        """The row of the run's own task."""
        # A run's rows begin with its own task.
        return next(iter(self.cells.values()))


def lines_of(rows: Sequence[TransferRow]) -> list[MatrixLine]:
    """Put rows into lines of a matrix.

    Args:
        rows (`Sequence[TransferRow]`): Rows of any number of runs, those of a run together.
    """
    groups = group_runs(rows, lambda row: row.recipe, lambda row: (row.method, column_of(row)))
    homes = [group[0].trained_on for group in groups]
    lines = []
    for group, home in zip(groups, homes, strict=True):
        name = home if homes.count(home) == 1 else f"{home} ({group[0].recipe})"
        for method in dict.fromkeys(row.method for row in group):
            lines.append(MatrixLine(name, method, {column_of(row): row for row in group if row.method == method}))
    return lines
