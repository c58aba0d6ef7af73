"""The tables about policies: numbers already as text."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Table
from w2s_rm.render.numbers import percent, percent_interval, ratio
from w2s_rm.report.formats import recovered
from w2s_rm.report.policy.rows import Optimised, PolicyRow, policies_by_run
from w2s_rm.roles import STUDENT, TRAINED


def reward_model_pgr_text(row: PolicyRow) -> str:
    """The PGR of a row's reward models with its interval and, when it must not be trusted, the words saying so."""
    return recovered(
        row.reward_model_pgr, row.reward_model_pgr_low, row.reward_model_pgr_high, row.reward_model_reliable
    )


def policy_pgr_text(row: PolicyRow) -> str:
    """The same of the PGR of its policies."""
    return recovered(row.policy_pgr, row.policy_pgr_low, row.policy_pgr_high, row.policy_reliable)


def reward_model_name(of: str, method: str) -> str:
    """Name the reward model that a policy was optimised against."""
    return f"student ({method})" if of == STUDENT else of


def policies_table(rows: Sequence[PolicyRow]) -> Table:
    """PGR of the reward models and of the policies side by side.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs.
    """
    header = (
        *("Run", "Policy", "Trainer", "Method", "Reward-model PGR"),
        *("Start success %", "Weak %", "Student %", "Ceiling %", "Policy PGR"),
    )
    lines = [
        (
            row.recipe,
            row.policy_model,
            row.trainer,
            row.method,
            reward_model_pgr_text(row),
            percent(row.start_success),
            percent_interval(row.weak_success, row.weak_success_low, row.weak_success_high),
            percent_interval(row.student_success, row.student_success_low, row.student_success_high),
            percent_interval(row.ceiling_success, row.ceiling_success_low, row.ceiling_success_high),
            policy_pgr_text(row),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=4)


def training_table(rows: Sequence[PolicyRow]) -> Table:
    """Where each training ended and where it was best, a line for each reward model.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    header = (
        *("Run", "Trainer", "Optimised against", "KL (nats)", "Proxy reward (sd)", "Success % at the end"),
        *("Peak %", "Peak step", "Peak KL", "Lost since (points)"),
    )
    lines = [
        (
            row.recipe,
            row.trainer,
            reward_model_name(optimised.of, row.method),
            ratio(optimised.kl),
            ratio(optimised.reward),
            percent(optimised.curve[-1].success),
            percent(optimised.peak.success),
            str(optimised.peak.step),
            ratio(optimised.peak.kl),
            percent(optimised.lost),
        )
        for group in policies_by_run(rows)
        for row, optimised in each_training(group)
    ]
    return Table(header, tuple(lines), n_text=3)


def policy_seeds_table(rows: Sequence[PolicyRow]) -> Table:
    """Each seed on its own.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs.
    """
    # Without intervals: that of one seed says nothing about another.
    header = ("Run", "Trainer", "Method", "Seed", "Weak success %", "Student %", "Ceiling %", "Policy PGR")
    lines = [
        (
            row.recipe,
            row.trainer,
            row.method,
            str(seed.seed),
            percent(seed.weak),
            percent(seed.student),
            percent(seed.ceiling),
            ratio(seed.pgr),
        )
        for row in rows
        for seed in row.per_seed
    ]
    return Table(header, tuple(lines), n_text=3)


def each_training(group: Sequence[PolicyRow]) -> list[tuple[PolicyRow, Optimised]]:
    """List the trainings of a run once: for each trainer weak, the students of all methods, ceiling.

    Args:
        group (`Sequence[PolicyRow]`): Rows of one run.
    """
    trainings: list[tuple[PolicyRow, Optimised]] = []
    for trainer in dict.fromkeys(row.trainer for row in group):
        rows = [row for row in group if row.trainer == trainer]
        for of in TRAINED:
            # Weak and ceiling are the same for all methods.
            of_methods = rows if of == STUDENT else rows[:1]
            trainings += [(row, optimised) for row in of_methods for optimised in row.optimised if optimised.of == of]
    return trainings
