"""The tables of a report: numbers already as text."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Table
from w2s_rm.render.numbers import percent, percent_hover, percent_interval, ratio
from w2s_rm.report.formats import baselines, exact_match_pgr_text, pgr_text, recovered, task_names
from w2s_rm.report.rows import ReportRow


def results_table(rows: Sequence[ReportRow]) -> Table:
    """Accuracies and PGR of every row with their intervals.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs.
    """
    header = ("Run", "Task", "Weak → strong", "Method", "Chance %", "Weak %", "Student %", "Ceiling %", "PGR")
    lines = [
        (
            row.recipe,
            f"{row.setting} / {row.task}",
            f"{row.weak_model or 'labels'} → {row.strong_model}",
            row.method,
            percent(row.chance),
            percent_interval(row.weak_accuracy, row.weak_low, row.weak_high),
            percent_interval(row.student_accuracy, row.student_low, row.student_high),
            percent_interval(row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
            pgr_text(row),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=4)


def side_by_side_table(groups: Sequence[Sequence[ReportRow]]) -> Table:
    """The outcome of several runs in few columns: raw accuracies first, then PGR.

    Args:
        groups (`Sequence[Sequence[ReportRow]]`): Rows, grouped by run.
    """
    # Intervals under the pointer alone: runs are compared at a glance, and the results below have them written out.
    header = ("Setting / task", "Method", "Chance %", "Weak %", "Student %", "Ceiling %", "PGR")
    lines = [
        (
            name,
            row.method,
            percent(row.chance),
            percent_hover(row.weak_accuracy, row.weak_low, row.weak_high),
            percent_hover(row.student_accuracy, row.student_low, row.student_high),
            percent_hover(row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
            pgr_text(row),
        )
        for name, group in zip(task_names(groups), groups, strict=True)
        for row in group
    ]
    return Table(header, tuple(lines), n_text=2)


def baselines_table(groups: Sequence[Sequence[ReportRow]]) -> Table:
    """What each run's accuracies stand beside, a line for each baseline that was measured.

    Args:
        groups (`Sequence[Sequence[ReportRow]]`): Rows, grouped by run.
    """
    lines = [(group[0].recipe, name, text) for group in groups for name, text in baselines(group[0])]
    return Table(("Run", "Baseline", "Accuracy %"), tuple(lines), n_text=2)


def stopping_table(rows: Sequence[ReportRow]) -> Table:
    """The student at the end of training, and where each rule would have stopped it.

    Args:
        rows (`Sequence[ReportRow]`): Rows whose trainings were evaluated on their way.
    """
    header = (
        *("Run", "Method", "End of training %", "Stopped by weak labels %", "Best by test truth (cheating) %"),
        *("PGR at the end", "PGR stopped", "PGR best (cheating)"),
    )
    lines = [
        (
            row.recipe,
            row.method,
            percent_interval(row.student_accuracy, row.student_low, row.student_high),
            percent_interval(
                row.student_accuracy_weak_validation,
                row.student_accuracy_weak_validation_low,
                row.student_accuracy_weak_validation_high,
            ),
            percent_interval(row.student_accuracy_best, row.student_accuracy_best_low, row.student_accuracy_best_high),
            pgr_text(row),
            _stopped_pgr(row, row.pgr_weak_validation, row.pgr_weak_validation_low, row.pgr_weak_validation_high),
            _stopped_pgr(row, row.pgr_best, row.pgr_best_low, row.pgr_best_high),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=2)


def _stopped_pgr(row: ReportRow, value: float | None, low: float | None, high: float | None) -> str:
    # Supervisor and ceiling are the same, so the gap is as reliable as at the end.
    return recovered(value, low, high, None if value is None else row.reliable)


def exact_match_table(rows: Sequence[ReportRow]) -> Table:
    """Exact match of every model that wrote answers.

    Args:
        rows (`Sequence[ReportRow]`): Rows with greedy answers.
    """
    header = ("Run", "Method", "Weak %", "Student %", "Ceiling %", "Untrained %", "PGR in exact match")
    lines = [
        (
            row.recipe,
            row.method,
            percent_interval(row.weak_exact_match, row.weak_exact_match_low, row.weak_exact_match_high),
            percent_interval(row.student_exact_match, row.student_exact_match_low, row.student_exact_match_high),
            percent_interval(row.ceiling_exact_match, row.ceiling_exact_match_low, row.ceiling_exact_match_high),
            percent_interval(row.zero_shot_exact_match, row.zero_shot_exact_match_low, row.zero_shot_exact_match_high),
            exact_match_pgr_text(row),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=2)


def no_candidate_table(rows: Sequence[ReportRow]) -> Table:
    """How often each model wrote none of the candidates.

    Args:
        rows (`Sequence[ReportRow]`): Rows with greedy answers.
    """
    header = ("Writes none of the candidates", "Method", "Weak %", "Student %", "Ceiling %", "Untrained %")
    lines = [
        (
            row.recipe,
            row.method,
            percent(row.weak_no_candidate),
            percent(row.student_no_candidate),
            percent(row.ceiling_no_candidate),
            percent(row.zero_shot_no_candidate),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=2)


def agreement_table(rows: Sequence[ReportRow]) -> Table:
    """How often student and supervisor choose alike, and how right its labels were.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs.
    """
    header = ("Run", "Method", "Overall %", "Where right %", "Where wrong %", "Weak labels", "Label accuracy %")
    lines = [
        (
            row.recipe,
            row.method,
            percent(row.agreement),
            percent(row.agreement_when_right),
            percent(row.agreement_when_wrong),
            "–" if row.n_labelled is None else f"{row.n_labelled:,}",
            percent(row.label_accuracy),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=2)


def seeds_table(rows: Sequence[ReportRow]) -> Table:
    """Each seed on its own.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs.
    """
    # Without intervals: that of one seed says nothing about another.
    header = ("Run", "Method", "Seed", "Weak %", "Student %", "Ceiling %", "PGR")
    lines = [
        (
            row.recipe,
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
    return Table(header, tuple(lines), n_text=2)


def data_table(groups: Sequence[Sequence[ReportRow]]) -> Table:
    """What was counted when the data was prepared and cut.

    Args:
        groups (`Sequence[Sequence[ReportRow]]`): Rows, grouped by run.
    """
    lines = [
        (group[0].recipe, name.replace("_", " "), f"{value:,}")
        for group in groups
        for name, value in group[0].counts.items()
    ]
    return Table(("Run", "Count", "Number"), tuple(lines), n_text=2)
