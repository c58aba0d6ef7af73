"""How much better the students of one method are than those of the method it is compared with, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs, told_apart


@dataclass(frozen=True)
class ComparisonRow:
    """A method beside the baseline of its run, on the same test examples and seeds.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting; comparisons of a report within it hold together.
        task (`str`): The task.
        method (`str`): The method.
        difference_to (`str`): The baseline: the method that the recipe compares with.
        n_test (`int`): Test examples with ground truth.
        n_seeds (`int`): Seeds.
        difference (`float`): Of the students' accuracies, method minus baseline.
        low (`float`): Lower end of the interval that holds together with all others of the setting.
        high (`float`): Upper end.
        alone_low (`float`): Lower end of the 95 % interval of this comparison by itself.
        alone_high (`float`): Upper end.
        p (`float`): Of no difference, of this comparison by itself.
        p_holm (`float`): Adjusted for the number of comparisons of the setting.
    """

    recipe: str
    setting: str
    task: str
    method: str
    difference_to: str
    n_test: int
    n_seeds: int
    difference: float
    low: float
    high: float
    alone_low: float
    alone_high: float
    p: float
    p_holm: float

    @property
    def better(self) -> bool:
        """Whether the method is better than the baseline beyond chance."""
        # By the interval that holds together with all others: the best of many accidents is not called better.
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether it is worse beyond chance."""
        return self.high < 0


def by_run(rows: Sequence[ComparisonRow]) -> dict[str, list[ComparisonRow]]:
    """Group rows by run, under names of which none stands twice.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs, those of a run together.
    """
    groups = group_runs(rows, lambda row: row.recipe, lambda row: row.method)
    return dict(zip(told_apart([group[0].recipe for group in groups]), groups, strict=True))


def by_method(rows: Sequence[ComparisonRow]) -> list[list[ComparisonRow]]:
    """Group the rows of one setting by method, the method with the largest mean difference first.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of one setting.
    """
    groups = [[row for row in rows if row.method == method] for method in dict.fromkeys(row.method for row in rows)]
    return sorted(groups, key=lambda group: -mean_difference(group))


def mean_difference(rows: Sequence[ComparisonRow]) -> float:
    """Return the mean over tasks.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of one method.
    """
    return sum(row.difference for row in rows) / len(rows)
