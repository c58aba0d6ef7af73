"""What a report says about one method of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Enough for any reading, few enough that the order of a sum does not show.
_DIGITS = 6


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave.

    Args:
        seed (`int`): The seed.
        weak (`float` or `None`): Accuracy of the weak supervisor.
        student (`float` or `None`): Accuracy of the student.
        ceiling (`float` or `None`): Accuracy of the ceiling.
        pgr (`float` or `None`): Performance gap recovered.
    """

    seed: int
    weak: float | None
    student: float | None
    ceiling: float | None
    pgr: float | None


@dataclass(frozen=True)
class ReportRow:
    """One method of one run. Accuracies are shares in [0, 1], `_low` and `_high` the ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting, such as `"reward_modeling"`.
        task (`str`): The task.
        weak_model (`str` or `None`): Name of the weak model; `None` when the labels came from a file.
        strong_model (`str`): Name of the strong model.
        supervisor (`str`): `"model"` or `"labels"`.
        method (`str`): Name of the method.
        seeds (`tuple[int, ...]`): Seeds that the numbers are means over.
        n_test (`int`): Test examples.
        n_scored (`int`): Those of them that have ground truth; accuracies and PGR are over these.
        chance (`float`): Accuracy of guessing: mean of 1/K.
        weak_accuracy (`float` or `None`): Mean over seeds; `None` without weak predictions or ground truth.
        weak_low (`float` or `None`): Lower end.
        weak_high (`float` or `None`): Upper end.
        student_accuracy (`float` or `None`): Mean over seeds; `None` without ground truth.
        student_low (`float` or `None`): Lower end.
        student_high (`float` or `None`): Upper end.
        ceiling_accuracy (`float` or `None`): Mean over seeds; `None` without ceiling or ground truth.
        ceiling_low (`float` or `None`): Lower end.
        ceiling_high (`float` or `None`): Upper end.
        gap (`float` or `None`): Ceiling minus weak accuracy.
        gap_low (`float` or `None`): Lower end.
        gap_high (`float` or `None`): Upper end.
        pgr (`float` or `None`): Performance gap recovered, of the mean accuracies.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the interval of the gap is above zero; `None` when there is no gap.
        agreement (`float` or `None`): Share of test examples on which the student chooses as its supervisor does.
        agreement_when_right (`float` or `None`): The same where the supervisor is right.
        agreement_when_wrong (`float` or `None`): The same where the supervisor is wrong.
        label_accuracy (`float` or `None`): Accuracy of the weak labels the student was trained on.
        n_labelled (`int` or `None`): Number of weak labels.
        counts (`Mapping[str, float]`): What the data preparation counted: examples, groups, truncations.
        per_seed (`tuple[SeedResult, ...]`): Each seed on its own.
    """

    recipe: str
    setting: str
    task: str
    weak_model: str | None
    strong_model: str
    supervisor: str
    method: str
    seeds: tuple[int, ...]
    n_test: int
    n_scored: int
    chance: float
    weak_accuracy: float | None
    weak_low: float | None
    weak_high: float | None
    student_accuracy: float | None
    student_low: float | None
    student_high: float | None
    ceiling_accuracy: float | None
    ceiling_low: float | None
    ceiling_high: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None
    agreement: float | None
    agreement_when_right: float | None
    agreement_when_wrong: float | None
    label_accuracy: float | None
    n_labelled: int | None
    counts: Mapping[str, float]
    per_seed: tuple[SeedResult, ...]


def row_record(row: ReportRow) -> dict[str, Any]:
    """Return a row as plain data for JSON, floats rounded to six digits.

    Args:
        row ([`ReportRow`]): The row.
    """
    return {name: _plain(value) for name, value in asdict(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value
