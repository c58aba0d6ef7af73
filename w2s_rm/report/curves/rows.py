"""What a report says about the models of one training after one of its evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.rows import group_runs


@dataclass(frozen=True)
class CurveRow:
    """The models of one role after as many evaluations, means over seeds. Accuracies are shares in [0, 1].

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        of (`str`): `weak`, `student` or `ceiling`.
        method (`str`, *optional*): The method; `None` of models that methods share.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        evaluation (`int`): 0 before the first step, then counted.
        steps (`tuple[int, ...]`): Steps of training until then, of each seed.
        share (`float`): The same as a share of all steps.
        n_scored (`int`): Test examples with ground truth.
        test_accuracy (`float`, *optional*): Accuracy on them; `None` without.
        test_low (`float`, *optional*): Lower end of its 95 % interval.
        test_high (`float`, *optional*): Upper end.
        validation_accuracy (`float`, *optional*): Accuracy on the validation split; `None` without one.
        validation_agreement (`float`, *optional*): Agreement with the supervisor's labels there; only of students.
        agreement (`float`, *optional*): Share of test examples on which the model chooses as its supervisor does; only
            of students.
        agreement_when_right (`float`, *optional*): The same where the supervisor is right.
        agreement_when_wrong (`float`, *optional*): The same where the supervisor is wrong.
        stopped (`int`): For how many seeds the validation split says to stop here.
        best (`int`): For how many seeds the truth of the test split would.
    """

    recipe: str
    setting: str
    task: str
    of: str
    method: str | None
    seeds: tuple[int, ...]
    evaluation: int
    steps: tuple[int, ...]
    share: float
    n_scored: int
    test_accuracy: float | None
    test_low: float | None
    test_high: float | None
    validation_accuracy: float | None
    validation_agreement: float | None
    agreement: float | None
    agreement_when_right: float | None
    agreement_when_wrong: float | None
    stopped: int
    best: int

    @property
    def training(self) -> tuple[str, str | None]:
        """What tells the training from others of its run."""
        return self.of, self.method


def curves_by_run(rows: Sequence[CurveRow]) -> list[list[CurveRow]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence[CurveRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(rows, _run_of, lambda row: (*row.training, row.evaluation))


def by_training(rows: Sequence[CurveRow]) -> dict[tuple[str, str | None], list[CurveRow]]:
    """Group the rows of a run by training, each from its start to its end.

    Args:
        rows (`Sequence[CurveRow]`): Rows of one run.
    """
    return {key: [row for row in rows if row.training == key] for key in dict.fromkeys(row.training for row in rows)}


def _run_of(row: CurveRow) -> tuple[object, ...]:
    return row.recipe, row.setting, row.task, row.seeds
