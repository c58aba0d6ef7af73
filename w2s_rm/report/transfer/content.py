"""What the report says about transfer, as elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import percent, percent_interval, points_interval
from w2s_rm.report.formats import recovered
from w2s_rm.report.transfer.rows import MatrixLine, TransferRow, columns_of, lines_of

FIGURE = "transfer"
_HOW_TO_READ = (
    "Models are trained on one task and scored on others, with nothing changed. Weak supervisor, student and ceiling "
    "of a line are the same models in all of its cells, those that were saved; the cell of their own task is marked.",
    "The gain is the student's accuracy minus its supervisor's, on the same examples and seeds. The "
    "out-of-distribution gain is its mean over the other tasks, each counting alike: whether what the student has over "
    "its supervisor holds where neither was trained. To judge weak-to-strong training by that is the idea of Le et al. "
    "2026 (arXiv 2605.25629); the definition is the one given here.",
    "PGR on another task compares with a ceiling that was not trained there either: where the gap (ceiling − weak) is "
    "not above zero, it is not reliable.",
)


def transfer_blocks(rows: Sequence[TransferRow]) -> list[Block]:
    """Compose the section about transfer.

    Args:
        rows (`Sequence[TransferRow]`): Rows of any number of runs, those of a run together.
    """
    lines = lines_of(rows)
    return [
        Heading("Transfer", 2),
        Bullets(tuple(filter(None, map(_words, lines)))),
        _matrix("Student − weak, points", rows, _gain, ("Mean of the others", _mean)),
        _matrix("PGR", rows, _pgr),
        _accuracies(lines),
        Figure(_description(lines), FIGURE),
        Bullets(_HOW_TO_READ),
    ]


def transfer_notes(rows: Sequence[TransferRow]) -> list[str]:
    """Say which tests are no transfer, because models have learned from their examples.

    Args:
        rows (`Sequence[TransferRow]`): Rows of any number of runs.
    """
    seen = {(row.recipe, row.tested_on): row for row in rows if row.n_seen}
    return [
        f"{recipe}: {row.n_seen:,} of {row.n_scored:,} test examples of {task} are among those that its models learned "
        "from or were chosen by: what is right there need not transfer."
        for (recipe, task), row in seen.items()
    ]


def _words(line: MatrixLine) -> str:
    row = line.first
    if row.out_of_distribution_gain is None:
        return ""
    there = (row.out_of_distribution_gain, row.out_of_distribution_gain_low, row.out_of_distribution_gain_high)
    tasks = f"{row.n_other_tasks} other task{'s' if row.n_other_tasks > 1 else ''}"
    return (
        f"Trained on {line.name}, {line.method}: student minus supervisor is {points_interval(*there)} on {tasks}, "
        f"{points(row.gain)} at home."
    )


def _matrix(
    title: str,
    rows: Sequence[TransferRow],
    cell: Callable[[TransferRow], str],
    *more: tuple[str, Callable[[TransferRow], str]],
) -> Table:
    columns = columns_of(rows)
    lines = []
    for line in lines_of(rows):
        cells = [_marked(line.cells[column], cell) if column in line.cells else "–" for column in columns]
        # What is of a whole line stands in each of its rows.
        lines.append((line.name, line.method, *cells, *(text(line.first) for _, text in more)))
    return Table((f"{title}: trained on", "Method", *columns.values(), *(name for name, _ in more)), tuple(lines), 2)


def _marked(row: TransferRow, cell: Callable[[TransferRow], str]) -> str:
    return cell(row) + (" (home)" if row.home else "")


def _gain(row: TransferRow) -> str:
    return _interval(row.gain, row.gain_low, row.gain_high)


def _mean(row: TransferRow) -> str:
    return _interval(row.out_of_distribution_gain, row.out_of_distribution_gain_low, row.out_of_distribution_gain_high)


def _pgr(row: TransferRow) -> str:
    return recovered(row.pgr, row.pgr_low, row.pgr_high, row.reliable)


def _accuracies(lines: Sequence[MatrixLine]) -> Table:
    header = ("Trained on", "Tested on", "Method", "Examples", "Weak %", "Student %", "Ceiling %")
    names = columns_of([row for line in lines for row in line.cells.values()])
    cells = [
        (
            line.name,
            names[column],
            line.method,
            f"{row.n_scored:,}",
            percent_interval(row.weak_accuracy, row.weak_low, row.weak_high),
            percent_interval(row.student_accuracy, row.student_low, row.student_high),
            percent_interval(row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
        )
        for line in lines
        for column, row in line.cells.items()
    ]
    return Table(header, tuple(cells), n_text=3)


def _description(lines: Sequence[MatrixLine]) -> str:
    parts = [
        f"{line.name} on {row.tested_on}, {line.method}: {points(row.gain)}"
        for line in lines
        for row in line.cells.values()
    ]
    return "Accuracy of students minus that of their supervisors, points, by train and test task. " + "; ".join(parts)


def points(value: float | None) -> str:
    """A difference of shares in points, with its sign.

    Args:
        value (`float` or `None`): The difference; a dash when there is none.
    """
    # Unlike elsewhere with a plus sign: gains and losses stand side by side in a matrix.
    text = percent(value).replace("-0.0", "0.0").replace("-", "−")
    return text if text[0] in "−–" or text == "0.0" else f"+{text}"


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    return "–" if value is None else f"{points(value)} [{points(low)}, {points(high)}]"
