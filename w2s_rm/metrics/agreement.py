"""Agreement of a student with its supervisor, where the supervisor is right and where it is wrong.

A student that agrees less with its supervisor's mistakes than with its right answers has learned more than imitation
(Burns et al. 2023, arXiv 2312.09390, study this under "imitation of supervisor mistakes").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats, choices, refuse
from w2s_rm.metrics.pairing import aligned
from w2s_rm.types import Predictions


@dataclass(frozen=True)
class Agreement:
    """Shares of examples on which the student chooses the same candidate as its supervisor.

    Args:
        overall (`float`): Over all examples.
        when_right (`float` or `None`): Over the examples with gold on which the supervisor is right; `None` if there
            are none.
        when_wrong (`float` or `None`): Over those on which it is wrong; `None` if there are none.
    """

    overall: float
    when_right: float | None
    when_wrong: float | None


def agreement(student: Predictions, supervisor: Predictions) -> Agreement:
    """Compare the choices of student and supervisor.

    Ties at the top are broken by chance, independently in both, and the shares are expectations: a supervisor tied
    between the right and a wrong candidate counts half as right and half as wrong.

    Args:
        student (`Predictions`): Scores of the student; its gold labels decide who is right.
        supervisor (`Predictions`): Scores of the supervisor on the same ids, in any order.

    Raises:
        DataError: Different ids or candidates, empty input, NaN scores.
    """
    known, right_B, same_B, both_right_B = _compared(student, supervisor)
    return Agreement(
        overall=float(same_B.mean()),
        when_right=_share(both_right_B[known], right_B[known]),
        # What both choose alike and is not right is the same mistake, whichever of the wrong candidates it is.
        when_wrong=_share((same_B - both_right_B)[known], (1 - right_B)[known]),
    )


def imitated(student: Predictions, supervisor: Predictions) -> tuple[Floats, Floats]:
    """Say on which examples a supervisor is wrong, and on which of these the student chooses as it does.

    Args:
        student (`Predictions`): Scores of the student on examples with gold labels.
        supervisor (`Predictions`): Scores of the supervisor on the same ids, in any order.

    Returns:
        `tuple[ndarray, ndarray]`: Both of shape `(B,)` in [0, 1]: how far the supervisor is wrong, and how far the
            student chooses that wrong candidate too. The sum of the second over that of the first is `when_wrong` of
            [`agreement`].

    Raises:
        DataError: Different ids or candidates, empty input, NaN scores, or examples without gold labels.
    """
    known, right_B, same_B, both_right_B = _compared(student, supervisor)
    refuse(~known, "has no gold label; whether its supervisor is wrong is not known", student.ids)
    return 1 - right_B, same_B - both_right_B


def _compared(student: Predictions, supervisor: Predictions) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Which examples have gold labels; how far the supervisor is right, both choose the same, and that is right."""
    supervisor = aligned(supervisor, student.ids, name="supervisor")
    student_choices = choices(student.scores, student.ids)
    supervisor_choices = choices(supervisor.scores, supervisor.ids)
    differs_B = student_choices.lengths_B != supervisor_choices.lengths_B
    refuse(differs_B, "has another number of candidates for the student than for the supervisor", student.ids)
    known = np.array([index is not None for index in student.gold])
    # Any index will do where there is none: `known` leaves these out.
    gold_B = np.array([0 if index is None else index for index in student.gold], dtype=np.int64)
    outside_B = (gold_B < 0) | (gold_B >= student_choices.lengths_B)
    refuse(outside_B, "has a gold label that is not one of its candidates", student.ids)
    right_B = supervisor_choices.of_candidate(gold_B)
    # Ties are broken independently, so probabilities multiply.
    both_right_B = right_B * student_choices.of_candidate(gold_B)
    return known, right_B, student_choices.same_as(supervisor_choices), both_right_B


def mean_agreement(per_seed: list[Agreement]) -> Agreement:
    """Average agreements over seeds, each seed alike; a part that no seed has stays `None`.

    Args:
        per_seed (`list[Agreement]`): At least one.

    Raises:
        DataError: The list is empty.
    """
    if not per_seed:
        raise DataError("no agreements to average: give at least one seed")
    # A mean of shares. Pooled over seeds, one whose supervisor errs often would weigh more than the others.
    return Agreement(
        overall=float(np.mean([result.overall for result in per_seed])),
        when_right=_mean([result.when_right for result in per_seed]),
        when_wrong=_mean([result.when_wrong for result in per_seed]),
    )


def _share(part_B: Floats, whole_B: Floats) -> float | None:
    whole = float(whole_B.sum())
    return float(part_B.sum()) / whole if whole > 0 else None


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
