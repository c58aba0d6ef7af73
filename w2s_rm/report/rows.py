"""What a report says about one method of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

ALIKE = "candidates_alike"
"""Begins the names of counts of examples whose candidates are the same tokens."""

_Row = TypeVar("_Row")

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
        student_weak_validation (`float` or `None`): Accuracy of the student where the supervisor's labels of the
            validation split would have stopped it; `None` without evaluations on its way.
        student_best (`float` or `None`): The same where the truth of the test split would have.
    """

    seed: int
    weak: float | None
    student: float | None
    ceiling: float | None
    pgr: float | None
    student_weak_validation: float | None = None
    student_best: float | None = None


@dataclass(frozen=True)
class ReportRow:
    """One method of one run. Accuracies are shares in [0, 1], `_low` and `_high` the ends of 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting, named as in the recipe.
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
        student_accuracy (`float` or `None`): Mean over seeds, at the end of training, whichever model was saved; `None`
            without ground truth.
        student_low (`float` or `None`): Lower end.
        student_high (`float` or `None`): Upper end.
        ceiling_accuracy (`float` or `None`): Mean over seeds; `None` without ceiling or ground truth. Where a method
            prepares its student, that of the ceiling which was prepared as it was.
        plain_ceiling_accuracy (`float` or `None`): Where a method has a ceiling of its own: that of the common one.
        ceiling_low (`float` or `None`): Lower end.
        ceiling_high (`float` or `None`): Upper end.
        zero_shot_accuracy (`float` or `None`): Of the student's model before any training; `None` where it was not
            evaluated.
        zero_shot_low (`float` or `None`): Lower end.
        zero_shot_high (`float` or `None`): Upper end.
        zero_shot_gain (`float` or `None`): Student minus zero-shot accuracy.
        zero_shot_gain_low (`float` or `None`): Lower end, paired: same examples and seeds for both.
        zero_shot_gain_high (`float` or `None`): Upper end.
        length_only (`float` or `None`): Accuracy of a rule that sees only lengths; `None` where it was not measured.
        bag_of_words (`float` or `None`): Accuracy of a linear model on word counts; `None` where it was not measured.
        gap (`float` or `None`): Ceiling minus weak accuracy.
        gap_low (`float` or `None`): Lower end.
        gap_high (`float` or `None`): Upper end.
        pgr (`float` or `None`): Performance gap recovered, of the mean accuracies.
        pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        reliable (`bool` or `None`): Whether the interval of the gap is above zero; `None` when there is no gap.
        student_accuracy_weak_validation (`float` or `None`): The student's where the supervisor's labels of the
            validation split would have stopped its training; `None` without evaluations on its way.
        student_accuracy_weak_validation_low (`float` or `None`): Lower end.
        student_accuracy_weak_validation_high (`float` or `None`): Upper end.
        pgr_weak_validation (`float` or `None`): Performance gap recovered there.
        pgr_weak_validation_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_weak_validation_high (`float` or `None`): Upper end; `None` also when unbounded.
        student_accuracy_best (`float` or `None`): The student's where the truth of the test split would have: chosen by
            what it is measured with, and so too high, of which its interval knows nothing.
        student_accuracy_best_low (`float` or `None`): Lower end.
        student_accuracy_best_high (`float` or `None`): Upper end.
        pgr_best (`float` or `None`): Performance gap recovered there.
        pgr_best_low (`float` or `None`): Lower end; `None` also when unbounded.
        pgr_best_high (`float` or `None`): Upper end; `None` also when unbounded.
        agreement (`float` or `None`): Share of test examples on which the student chooses as its supervisor does.
        agreement_when_right (`float` or `None`): The same where the supervisor is right.
        agreement_when_wrong (`float` or `None`): The same where the supervisor is wrong.
        weak_exact_match (`float` or `None`): Share of examples for which the weak supervisor, decoding greedily,
            writes the right candidate; `None` where its head writes nothing.
        weak_exact_match_low (`float` or `None`): Lower end.
        weak_exact_match_high (`float` or `None`): Upper end.
        student_exact_match (`float` or `None`): The same of the student.
        student_exact_match_low (`float` or `None`): Lower end.
        student_exact_match_high (`float` or `None`): Upper end.
        ceiling_exact_match (`float` or `None`): The same of the ceiling.
        ceiling_exact_match_low (`float` or `None`): Lower end.
        ceiling_exact_match_high (`float` or `None`): Upper end.
        zero_shot_exact_match (`float` or `None`): The same of the untrained student.
        zero_shot_exact_match_low (`float` or `None`): Lower end.
        zero_shot_exact_match_high (`float` or `None`): Upper end.
        weak_no_candidate (`float` or `None`): Share of all test examples for which the weak supervisor writes none of
            the candidates.
        student_no_candidate (`float` or `None`): The same of the student.
        ceiling_no_candidate (`float` or `None`): The same of the ceiling.
        zero_shot_no_candidate (`float` or `None`): The same of the untrained student.
        exact_match_pgr (`float` or `None`): Performance gap recovered in exact match instead of accuracy.
        exact_match_pgr_low (`float` or `None`): Lower end; `None` also when unbounded.
        exact_match_pgr_high (`float` or `None`): Upper end; `None` also when unbounded.
        exact_match_reliable (`bool` or `None`): Whether the interval of that gap is above zero.
        label_accuracy (`float` or `None`): Accuracy of the weak labels the student was trained on.
        n_labelled (`int` or `None`): Number of weak labels.
        test_labelled (`int` or `None`): Test examples that a file of labels covers; `None` without such a file.
        test_label_accuracy (`float` or `None`): Accuracy of the file's labels on those of them that have ground truth.
        difference (`float` or `None`): Student accuracy minus that of the method in `difference_to`; `None` for that
            method itself and without ground truth.
        difference_low (`float` or `None`): Lower end, paired: same examples and seeds for both. It holds by itself; the
            section that compares methods has those that hold together.
        difference_high (`float` or `None`): Upper end.
        difference_to (`str` or `None`): The method that the recipe compares with, its first where it names none.
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
    plain_ceiling_accuracy: float | None
    zero_shot_accuracy: float | None
    zero_shot_low: float | None
    zero_shot_high: float | None
    zero_shot_gain: float | None
    zero_shot_gain_low: float | None
    zero_shot_gain_high: float | None
    length_only: float | None
    bag_of_words: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    pgr: float | None
    pgr_low: float | None
    pgr_high: float | None
    reliable: bool | None
    student_accuracy_weak_validation: float | None
    student_accuracy_weak_validation_low: float | None
    student_accuracy_weak_validation_high: float | None
    pgr_weak_validation: float | None
    pgr_weak_validation_low: float | None
    pgr_weak_validation_high: float | None
    student_accuracy_best: float | None
    student_accuracy_best_low: float | None
    student_accuracy_best_high: float | None
    pgr_best: float | None
    pgr_best_low: float | None
    pgr_best_high: float | None
    agreement: float | None
    agreement_when_right: float | None
    agreement_when_wrong: float | None
    weak_exact_match: float | None
    weak_exact_match_low: float | None
    weak_exact_match_high: float | None
    student_exact_match: float | None
    student_exact_match_low: float | None
    student_exact_match_high: float | None
    ceiling_exact_match: float | None
    ceiling_exact_match_low: float | None
    ceiling_exact_match_high: float | None
    zero_shot_exact_match: float | None
    zero_shot_exact_match_low: float | None
    zero_shot_exact_match_high: float | None
    weak_no_candidate: float | None
    student_no_candidate: float | None
    ceiling_no_candidate: float | None
    zero_shot_no_candidate: float | None
    exact_match_pgr: float | None
    exact_match_pgr_low: float | None
    exact_match_pgr_high: float | None
    exact_match_reliable: bool | None
    label_accuracy: float | None
    n_labelled: int | None
    test_labelled: int | None
    test_label_accuracy: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    difference_to: str | None
    # These two have no place in a flat table (`write.py`).
    counts: Mapping[str, float]
    per_seed: tuple[SeedResult, ...]


def group_runs(rows: Sequence[_Row], run: Callable[[_Row], object], part: Callable[[_Row], object]) -> list[list[_Row]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence`): Rows of any number of runs, those of a run together.
        run (`Callable`): Names the run of a row.
        part (`Callable`): Names what a run has one row of.
    """
    groups: list[list[_Row]] = []
    for row in rows:
        # A part that comes again begins another run, even if two runs have the same names.
        same = bool(groups) and run(groups[-1][0]) == run(row)
        if same and part(row) not in map(part, groups[-1]):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def told_apart(names: Sequence[str]) -> list[str]:
    """Return names of which none stands twice: a name that comes again has its number behind it.

    Args:
        names (`Sequence[str]`): Of runs, which may be of one recipe and in different folders.
    """
    counts, told = Counter[str](), list[str]()
    for name in names:
        counts[name] += 1
        other = name if counts[name] == 1 else f"{name} ({counts[name]})"
        # A run may be called so itself.
        while other in told:
            counts[name] += 1
            other = f"{name} ({counts[name]})"
        told.append(other)
    return told


def row_record(row: ReportRow) -> dict[str, Any]:
    """Return a row as plain data for JSON, floats rounded to six digits.

    Args:
        row ([`ReportRow`]): The row.
    """
    return {name: plain(value) for name, value in asdict(row).items()}


def plain(value: Any) -> Any:
    """Return a value as plain data for JSON, floats rounded to six digits.

    Args:
        value (`Any`): A number, a text, or a sequence or mapping of such values.
    """
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value
