"""Rows of the report as text, the same in every file."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.numbers import percent, percent_interval, ratio, ratio_interval
from w2s_rm.report.rows import ReportRow, group_runs


def pgr_text(row: ReportRow) -> str:
    """A row's PGR with its interval and, when it must not be trusted, the words saying so."""
    return recovered(row.pgr, row.pgr_low, row.pgr_high, row.reliable)


def exact_match_pgr_text(row: ReportRow) -> str:
    """The same of the PGR in exact match."""
    return recovered(row.exact_match_pgr, row.exact_match_pgr_low, row.exact_match_pgr_high, row.exact_match_reliable)


def recovered(value: float | None, low: float | None, high: float | None, reliable: bool | None) -> str:
    """A PGR of any measure with its interval and, when it must not be trusted, the words saying so.

    Args:
        value (`float` or `None`): The PGR; `None` when it is undefined.
        low (`float` or `None`): Lower end; `None` when unbounded.
        high (`float` or `None`): Upper end; `None` when unbounded.
        reliable (`bool` or `None`): Whether its gap is above zero; `None` when there is no gap.
    """
    if reliable is None:
        return "–"
    # A gap of exactly zero: it has an interval, and there is no ratio to it.
    text = "undefined" if value is None else ratio(value)
    return f"{text} {ratio_interval(low, high)}" + ("" if reliable else " (not reliable)")


def baselines(row: ReportRow) -> list[tuple[str, str]]:
    """Names of what a run's accuracies stand beside, and their percentages, with intervals where there are any.

    Args:
        row ([`ReportRow`]): Any row of the run.
    """
    zero_shot = percent_interval(row.zero_shot_accuracy, row.zero_shot_low, row.zero_shot_high)
    named = (
        ("chance", row.chance, percent(row.chance)),
        ("length only", row.length_only, percent(row.length_only)),
        ("bag of words", row.bag_of_words, percent(row.bag_of_words)),
        ("untrained student (zero-shot)", row.zero_shot_accuracy, zero_shot),
    )
    return [(name, text) for name, value, text in named if value is not None]


def supervisor_name(row: ReportRow) -> str:
    """Name what gave the weak labels."""
    return row.weak_model if row.weak_model is not None else "labels from a file"


def run_name(row: ReportRow) -> str:
    """Name the run a row belongs to."""
    return f"{row.recipe}: {row.setting} / {row.task}, {supervisor_name(row)} → {row.strong_model}"


def task_names(groups: Sequence[Sequence[ReportRow]]) -> list[str]:
    """Name each run by its setting and task, and by its recipe too when that alone would name two runs.

    Args:
        groups (`Sequence[Sequence[ReportRow]]`): What [`by_run`] returned.
    """
    names = [f"{group[0].setting} / {group[0].task}" for group in groups]
    return [
        name if names.count(name) == 1 else f"{group[0].recipe}: {name}"
        for name, group in zip(names, groups, strict=True)
    ]


def by_run(rows: Sequence[ReportRow]) -> list[list[ReportRow]]:
    """Group rows by run, in their order.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(rows, run_name, lambda row: row.method)
