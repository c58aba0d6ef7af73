"""What a report says about the accuracy of one model of one run, looked at more closely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs, told_apart
from w2s_rm.report.scored import title

SHARES = tuple(percent / 100 for percent in range(10, 101, 10))
"""Shares of the examples that a model answers, the most confident first."""
HALF = 0.5


@dataclass(frozen=True)
class BreakdownRow:
    """One model on the test examples with ground truth. Accuracies are means over seeds.

    `_low` and `_high` are the ends of 95 % intervals over groups of examples and seeds.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        role (`str`): A word of [`w2s_rm.roles`].
        method (`str` or `None`): The method that it belongs to; `None` where methods share it.
        n_examples (`int`): Examples.
        n_groups (`int` or `None`): Groups that they form; `None` where the examples are not on file.
        largest_group (`int` or `None`): Examples of the largest one.
        n_seeds (`int`): Seeds.
        accuracy (`float`): Each example counts the same.
        accuracy_low (`float`): Lower end.
        accuracy_high (`float`): Upper end.
        group_accuracy (`float` or `None`): Each group counts the same, by the mean over its examples.
        group_accuracy_low (`float` or `None`): Lower end.
        group_accuracy_high (`float` or `None`): Upper end.
        tied (`float`): Examples at whose top several candidates tie.
        accuracy_ties_wrong (`float`): A tie counts as wrong.
        accuracy_ties_half (`float`): A tie with the right candidate in it counts as half right, however many there are.
        half_accuracy (`float`): On the half of the examples of which the model is surest.
        half_accuracy_low (`float`): Lower end.
        half_accuracy_high (`float`): Upper end.
        answered (`tuple[float, ...]`): Accuracy on each of [`SHARES`] of the examples, the surest ones.
    """

    recipe: str
    setting: str
    task: str
    role: str
    method: str | None
    n_examples: int
    n_groups: int | None
    largest_group: int | None
    n_seeds: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    group_accuracy: float | None
    group_accuracy_low: float | None
    group_accuracy_high: float | None
    tied: float
    accuracy_ties_wrong: float
    accuracy_ties_half: float
    half_accuracy: float
    half_accuracy_low: float
    half_accuracy_high: float
    answered: tuple[float, ...]

    @property
    def title(self) -> str:
        """The model in words."""
        return title(self.role, self.method)

    @property
    def grouped(self) -> bool:
        """Whether any examples belong together."""
        # Groups of one example each say the same as examples.
        return self.n_groups is not None and self.n_groups < self.n_examples


def by_run(rows: Sequence[BreakdownRow]) -> dict[str, list[BreakdownRow]]:
    """Group rows by run, under names of which none stands twice.

    Args:
        rows (`Sequence[BreakdownRow]`): Rows of any number of runs, those of a run together.
    """
    groups = group_runs(rows, lambda row: row.recipe, lambda row: (row.role, row.method))
    return dict(zip(told_apart([group[0].recipe for group in groups]), groups, strict=True))
