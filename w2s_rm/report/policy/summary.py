"""The policies as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.numbers import percent
from w2s_rm.report.policy.rows import PolicyRow, policies_by_run
from w2s_rm.report.policy.tables import policy_pgr_text, reward_model_pgr_text

_HEADER = (
    *("trainer", "method", "reward-model PGR [95 %]", "start %", "weak %", "student %", "ceiling %"),
    "policy PGR [95 % interval]",
)


def policy_lines(rows: Sequence[PolicyRow]) -> tuple[list[tuple[str, ...]], int]:
    """Return the lines of a table, its header first, and how many of its columns are text.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    groups = policies_by_run(rows)
    if len(groups) == 1:
        return [_HEADER, *map(_cells, rows)], 2
    named = [(row.recipe, *_cells(row)) for row in rows]
    return [("recipe", *_HEADER), *named], 3


def policy_heading(rows: Sequence[PolicyRow]) -> str:
    """Say what the table is about."""
    each = dict.fromkeys(
        f"{row.policy_model}, success on {row.n_test:,} test prompts, {row.n_samples} samples each" for row in rows
    )
    return f"policies optimised against the reward models: {'; '.join(each)}"


def _cells(row: PolicyRow) -> tuple[str, ...]:
    rates = (row.start_success, row.weak_success, row.student_success, row.ceiling_success)
    return (row.trainer, row.method, reward_model_pgr_text(row), *map(percent, rates), policy_pgr_text(row))
