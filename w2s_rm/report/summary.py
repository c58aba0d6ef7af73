"""The report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.numbers import percent
from w2s_rm.render.plain import aligned
from w2s_rm.report.formats import baselines, by_run, pgr_text, run_name, task_names
from w2s_rm.report.notes import notes
from w2s_rm.report.policy.notes import policy_notes
from w2s_rm.report.policy.rows import PolicyRow
from w2s_rm.report.policy.summary import policy_heading, policy_lines
from w2s_rm.report.rows import ReportRow

_HEADER = ("method", "weak %", "student %", "ceiling %", "PGR [95 % interval]")


def summary_text(rows: Sequence[ReportRow], policies: Sequence[PolicyRow] = ()) -> str:
    """Format rows as aligned plain text, with the warnings below: several runs share one table.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
        policies (`Sequence[PolicyRow]`, *optional*): Rows about their policies: a second table.
    """
    groups = by_run(rows)
    heads = [f"{run_name(group[0])}\n{_baseline_line(group[0])}" for group in groups]
    if len(groups) == 1:
        parts = [f"{heads[0]}\n{_table([_HEADER, *map(_cells, rows)], 1)}"]
    else:
        # One table, whose columns stand below each other for all runs; what each run is stands above it.
        lines = [(name, *_cells(row)) for name, group in zip(task_names(groups), groups, strict=True) for row in group]
        parts = ["\n".join(heads), _table([("setting / task", *_HEADER), *lines], 2)]
    if policies:
        policy_rows, n_text = policy_lines(policies)
        parts.append(f"{policy_heading(policies)}\n{_table(policy_rows, n_text)}")
    # The terminal has no other sections, so that their warnings stand in the files alone.
    warnings = "\n".join(f"! {sentence}" for sentence in [*notes(rows), *policy_notes(policies)])
    return "\n\n".join([*parts, warnings] if warnings else parts)


def _baseline_line(row: ReportRow) -> str:
    return "  baselines %: " + ", ".join(f"{name} {text}" for name, text in baselines(row))


def _cells(row: ReportRow) -> tuple[str, ...]:
    accuracies = (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy)
    return (row.method, *(percent(value) for value in accuracies), pgr_text(row))


def _table(lines: Sequence[Sequence[str]], n_text: int) -> str:
    """The last column, of intervals and words, as it is."""
    return aligned(lines, n_text=n_text, n_aligned=len(lines[0]) - 1)
