"""What a reader must know before believing a row about policies, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.numbers import percent, points_interval
from w2s_rm.report.policy.rows import Optimised, PolicyRow, policies_by_run
from w2s_rm.report.policy.tables import each_training, reward_model_name

Training = tuple[PolicyRow, Optimised]


def policy_notes(rows: Sequence[PolicyRow]) -> list[str]:
    """Return the warnings of all rows, what methods share once.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    groups = policies_by_run(rows)
    sentences = []
    for group in groups:
        run = f"{group[0].recipe}: " if len(groups) > 1 else ""
        for trainer in dict.fromkeys(row.trainer for row in group):
            of_trainer = [row for row in group if row.trainer == trainer]
            sentences += [f"{run}Policies of {trainer}: {text}" for text in _trainer_notes(of_trainer)]
    return sentences


def no_policy_pgr_reason(row: PolicyRow) -> str | None:
    """Say why a row has no policy PGR; `None` when it has one.

    Args:
        row ([`PolicyRow`]): The row.
    """
    if row.policy_reliable is not None:
        return None
    absent = []
    if row.weak_success is None:
        cause = " (its labels came from a file)" if row.supervisor == "labels" else ""
        absent.append(f"there is no policy optimised against the supervisor's reward model{cause}")
    if row.ceiling_success is None:
        absent.append("there is none optimised against a strong ceiling's")
    return f"There is no policy PGR, because {' and '.join(absent)}."


def _trainer_notes(rows: Sequence[PolicyRow]) -> list[str]:
    """The notes of all methods of one trainer, what they share once."""
    trainings = each_training(rows)
    shared = dict.fromkeys(text for row in rows for text in _pgr_notes(row))
    return [*shared, *_worse_notes(trainings), *_over_optimised_notes(trainings)]


def _pgr_notes(row: PolicyRow) -> list[str]:
    reason = no_policy_pgr_reason(row)
    if reason:
        # It goes on after `Policies of dpo: `.
        return [reason[0].lower() + reason[1:]]
    if row.policy_reliable:
        return []
    gap = points_interval(row.policy_gap, row.policy_gap_low, row.policy_gap_high)
    return [
        "their PGR is not reliable and is no result: it divides by the gap between the policies of ceiling and "
        f"supervisor, {gap}, which is not clearly above zero."
    ]


def _worse_notes(trainings: Sequence[Training]) -> list[str]:
    """Policies that were better before their training."""
    worse = [
        f"{percent(_end(row, optimised)[0])} % against {reward_model_name(optimised.of, row.method)}"
        for row, optimised in trainings
        # By the upper end of the interval: worse beyond noise.
        if _end(row, optimised)[1] < row.start_success
    ]
    if not worse:
        return []
    return [
        f"worse after training than the starting policy ({percent(trainings[0][0].start_success)} %): "
        f"{', '.join(worse)}."
    ]


def _over_optimised_notes(trainings: Sequence[Training]) -> list[str]:
    """Policies that training took beyond their best by more than noise, while what they are optimised for rose."""
    fallen = []
    for row, optimised in trainings:
        success, high = _end(row, optimised)
        peak, end = optimised.peak, optimised.curve[-1]
        # One that was never better than at its start is named there.
        # Beyond noise: as the best of several measurements the peak is too high by some.
        if peak.step > 0 and optimised.lost > high - success and end.reward > peak.reward:
            path = f"from {percent(peak.success)} % (step {peak.step}) to {percent(end.success)} %"
            fallen.append(f"{path} against {reward_model_name(optimised.of, row.method)}")
    if not fallen:
        return []
    return [f"over-optimised, the true success rate fell while the proxy reward rose: {', '.join(fallen)}."]


def _end(row: PolicyRow, optimised: Optimised) -> tuple[float, float]:
    """Success rate at the end of training and the upper end of its interval."""
    value, high = {
        "weak": (row.weak_success, row.weak_success_high),
        "student": (row.student_success, row.student_success_high),
        "ceiling": (row.ceiling_success, row.ceiling_success_high),
    }[optimised.of]
    # A policy that was optimised has been judged: its role has a success rate in the row.
    assert value is not None and high is not None
    return value, high
