"""What the report says about trainings, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import percent
from w2s_rm.report.curves.rows import CurveRow, by_training, curves_by_run

FIGURE = "curves"
_HOW_TO_READ = (
    "All models were scored before their first step, at the end, and between, on the same examples each time; this "
    "changed nothing in their training. Bands are 95 % intervals over test examples and seeds.",
    "A ring is where the validation split says to stop: a student where it agrees most with the supervisor's labels "
    "there, weak model and ceiling where they are right most often. A cross is where the test split itself would say "
    "so. Of several seeds both stand where most of them do.",
    "Agreement is with the supervisor, on the test examples on which it is right (solid) and on those on which it is "
    "wrong (dashed). A student that first learns what is right, and then the mistakes, has a dashed line that rises "
    "late.",
)


def curve_blocks(rows: Sequence[CurveRow]) -> list[Block]:
    """Compose the section about trainings.

    Args:
        rows (`Sequence[CurveRow]`): Rows of any number of runs, those of a run together.
    """
    return [Heading("Curves", 2), Figure(_description(rows), FIGURE), _table(rows), Bullets(_HOW_TO_READ)]


def training_name(row: CurveRow) -> str:
    """Name the training of a row."""
    return row.of if row.method is None else f"{row.of} {row.method}"


def _table(rows: Sequence[CurveRow]) -> Table:
    header = ("Run", "Model", "Start %", "Highest %", "End %", "Highest after", "Stopped after", "Imitates mistakes %")
    lines = []
    for group in curves_by_run(rows):
        for points in by_training(group).values():
            # `max` below takes the first of equals: the least training that gets there.
            known = [row for row in points if row.test_accuracy is not None]
            highest = max(known, key=lambda row: row.test_accuracy or 0.0, default=None)
            lines.append(
                (
                    points[0].recipe,
                    training_name(points[0]),
                    percent(points[0].test_accuracy),
                    percent(None if highest is None else highest.test_accuracy),
                    percent(points[-1].test_accuracy),
                    "–" if highest is None else _share(highest),
                    _stopped(points),
                    _imitation(points),
                )
            )
    return Table(header, tuple(lines), n_text=2)


def _stopped(points: Sequence[CurveRow]) -> str:
    """Where the validation split says to stop, with the number of seeds where it is not the same for all."""
    stops = [row for row in points if row.stopped]
    return "; ".join(_share(row) + (f" ({row.stopped}×)" if len(stops) > 1 else "") for row in stops) or "–"


def _imitation(points: Sequence[CurveRow]) -> str:
    """Agreement where the supervisor is wrong: after the first evaluation of training, and at the end."""
    if points[-1].agreement_when_wrong is None:
        return "–"
    # The second evaluation and not the first: before its first step no student has seen a label. There are two at
    # least, that and the end.
    return f"{percent(points[1].agreement_when_wrong)} → {percent(points[-1].agreement_when_wrong)}"


def _share(row: CurveRow) -> str:
    return f"{100 * row.share:.0f} %"


def _description(rows: Sequence[CurveRow]) -> str:
    parts = []
    for group in curves_by_run(rows):
        for points in by_training(group).values():
            accuracies = ", ".join(f"{_share(row)}: {percent(row.test_accuracy)} %" for row in points)
            parts.append(f"{points[0].recipe}, {training_name(points[0])}: {accuracies}")
    return "Accuracy, and agreement with the supervisor, over the share of training steps. " + "; ".join(parts)
