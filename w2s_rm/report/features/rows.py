"""What a report says about the students of one method on the features of one layer, with one penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs


@dataclass(frozen=True)
class FeatureRow:
    """One place among the layers and penalties from which validation chose. The test split chose nothing here.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        method (`str`): The method.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        layer (`int`): Whose features the models read.
        l2 (`float`): The penalty.
        student_accuracy (`float`): Mean over seeds.
        like_ceiling_accuracy (`float`, *optional*): Mean over seeds of the models with this layer and penalty that were
            trained on the truth; `None` where no ceiling has them.
        weak_accuracy (`float`, *optional*): Of the supervisor, as in the report's own rows.
        ceiling_accuracy (`float`, *optional*): Of the chosen ceilings, as in the report's own rows.
        pgr (`float`, *optional*): Of this student, between the supervisor and the chosen ceiling; `None` without them,
            and where they are equally good.
        chosen (`int`): For how many seeds the student was chosen.
        ceiling_chosen (`int`): For how many seeds the ceiling was.
    """

    recipe: str
    setting: str
    task: str
    method: str
    seeds: tuple[int, ...]
    layer: int
    l2: float
    student_accuracy: float
    like_ceiling_accuracy: float | None
    weak_accuracy: float | None
    ceiling_accuracy: float | None
    pgr: float | None
    chosen: int
    ceiling_chosen: int


def features_by_run(rows: Sequence[FeatureRow]) -> list[list[FeatureRow]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence[FeatureRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(rows, _run_of, lambda row: (row.method, row.layer, row.l2))


def _run_of(row: FeatureRow) -> tuple[object, ...]:
    return row.recipe, row.setting, row.task, row.seeds
