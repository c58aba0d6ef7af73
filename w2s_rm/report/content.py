"""What the report says, as blocks that Markdown and HTML only have to format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2s_rm.report.formats import by_run, percent, percent_interval, pgr_text, ratio, run_name
from w2s_rm.report.notes import no_pgr_reason, notes
from w2s_rm.report.rows import ReportRow


@dataclass(frozen=True)
class Heading:
    """A heading: `text` (`str`) and `level` (`int`, 1 is the title)."""

    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain `text` (`str`)."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, `items` (`tuple[str, ...]`); `warning` (`bool`) when they are warnings."""

    items: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `header` (`tuple[str, ...]`), `lines` (tuples of cells); the first `n_text` columns are text."""

    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    n_text: int = 1


@dataclass(frozen=True)
class Figure:
    """The place of the plot, with its `description` (`str`)."""

    description: str


Block = Heading | Paragraph | Bullets | Table | Figure

_HOW_TO_READ = (
    "A weak supervisor labels data, a strong student is trained on those labels, and a strong ceiling on the ground "
    "truth of the same data. All are scored on the same test examples; a model is right when it scores the right "
    "candidate highest, and ties share the credit.",
    "PGR, the performance gap recovered, is (student − weak) / (ceiling − weak): 0 means the student is as good as its "
    "supervisor, 1 that it is as good as the ceiling. It is never clipped, so it may be negative or above 1.",
    "Brackets are 95 % intervals from a bootstrap over test examples and seeds, with the same examples and seeds for "
    "the three models. Intervals of accuracies may overlap although the models differ clearly, because they make many "
    "mistakes together.",
    "PGR is not reliable when the interval of the gap (ceiling − weak) is not above zero: it then divides by almost "
    "nothing.",
    "Agreement is how often the student chooses what its supervisor chooses. A student that learned more than to "
    "imitate agrees less where the supervisor is wrong.",
)


def blocks(rows: Sequence[ReportRow]) -> list[Block]:
    """Compose the report.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
    """
    groups = by_run(rows)
    warnings = notes(rows)
    content: list[Block] = [Heading("Weak-to-strong report", 1), *_findings(rows), Figure(_description(rows))]
    if warnings:
        content += [Heading("Warnings", 2), Bullets(tuple(warnings), warning=True)]
    content += [Heading("Results", 2), _results(rows)]
    content += [Heading("How to read this", 2), Bullets(_HOW_TO_READ)]
    content += [Heading("Agreement with the supervisor", 2), _agreement(rows)]
    content += [Heading("Each seed", 2), _seeds(rows)]
    if any(group[0].counts for group in groups):
        content += [Heading("Data", 2), _data(groups)]
    return content


def _findings(rows: Sequence[ReportRow]) -> list[Block]:
    """The outcome in a sentence for each run."""
    content: list[Block] = []
    for group in by_run(rows):
        row = group[0]
        examples = f"{row.n_test:,} test examples, {_count(len(row.seeds), 'seed')}"
        content.append(Paragraph(f"{run_name(row)} ({examples}). {_outcome(group)}"))
    return content


def _outcome(group: Sequence[ReportRow]) -> str:
    reliable = [row for row in group if row.reliable and row.pgr is not None]
    if not reliable:
        return no_pgr_reason(group[0]) or "The gap is too small for a reliable PGR (see the warnings)."
    best = max(reliable, key=lambda row: row.pgr or 0.0)
    weak, student, ceiling = map(percent, (best.weak_accuracy, best.student_accuracy, best.ceiling_accuracy))
    one = f"The best student of {len(group)} methods" if len(group) > 1 else "The student"
    return (
        f"The supervisor is right on {weak} % and the ceiling on {ceiling} %. "
        f"{one}, {best.method}, reaches {student} % and recovers {ratio(best.pgr)} of the gap."
    )


def _results(rows: Sequence[ReportRow]) -> Table:
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


def _agreement(rows: Sequence[ReportRow]) -> Table:
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


def _seeds(rows: Sequence[ReportRow]) -> Table:
    header = ("Run", "Method", "Seed", "Weak %", "Student %", "Ceiling %", "PGR")
    lines = [
        (
            row.recipe,
            row.method,
            str(one.seed),
            percent(one.weak),
            percent(one.student),
            percent(one.ceiling),
            ratio(one.pgr),
        )
        for row in rows
        for one in row.per_seed
    ]
    return Table(header, tuple(lines), n_text=2)


def _data(groups: Sequence[Sequence[ReportRow]]) -> Table:
    lines = [
        (group[0].recipe, name.replace("_", " "), f"{value:,}")
        for group in groups
        for name, value in group[0].counts.items()
    ]
    return Table(("Run", "Count", "Number"), tuple(lines), n_text=2)


def _description(rows: Sequence[ReportRow]) -> str:
    parts = [f"{row.recipe}, {row.method}: PGR {pgr_text(row)}" for row in rows]
    return "Accuracy of weak supervisor, student and ceiling, and performance gap recovered. " + "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
