"""One figure: accuracy over training, and below it agreement with the supervisor, a column for each run.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.curves.content import training_name
from w2s_rm.report.curves.rows import CurveRow, by_training, curves_by_run
from w2s_rm.report.drawing import CEILING, MUTED, STUDENTS, WEAK, Images, new_figure, prepare, render, training_axis
from w2s_rm.roles import STUDENT
from w2s_rm.roles import WEAK as WEAK_ROLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_HIGH = 5.4, 6.4


def plot_curves(rows: Sequence[CurveRow]) -> Images:
    """Draw accuracy and agreement over training; the same rows give the same bytes.

    Args:
        rows (`Sequence[CurveRow]`): Rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[CurveRow]) -> Figure:
    groups = curves_by_run(rows)
    colors = _colors(rows)
    # A run alone gets more than a column, because the legend above needs it.
    figure = new_figure(1.2 + _INCHES_WIDE * max(len(groups), 1.3), 1.0 + _INCHES_HIGH)
    panels = figure.subplots(2, len(groups), sharey="row", squeeze=False)
    for group, (upper, lower) in zip(groups, panels.T, strict=True):
        _draw_run(group, upper, lower, colors)
        if len(groups) > 1:
            upper.set_title(group[0].recipe, fontweight="bold")
    panels[0, 0].set_ylabel("accuracy on the test split")
    panels[1, 0].set_ylabel("agreement with the supervisor")
    _add_legend(figure, rows, colors)
    return figure


def _colors(rows: Sequence[CurveRow]) -> dict[str, str]:
    """The color of each training by its name, in the order of the legend."""
    students = [name for name in dict.fromkeys(map(training_name, rows)) if name.startswith(STUDENT)]
    by_student = {name: STUDENTS[number % len(STUDENTS)] for number, name in enumerate(students)}
    others = {training_name(row): WEAK if row.of == WEAK_ROLE else CEILING for row in rows if row.of != STUDENT}
    # In the order of the rows: weak model, students, ceilings.
    return {training_name(row): {**by_student, **others}[training_name(row)] for row in rows}


def _draw_run(group: Sequence[CurveRow], upper: Axes, lower: Axes, colors: Mapping[str, str]) -> None:
    lower.sharex(upper)
    for axes in (upper, lower):
        prepare(axes, grid="both")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    training_axis(upper, [row.share for row in group])
    for points in by_training(group).values():
        color = colors[training_name(points[0])]
        _draw_accuracy(upper, points, color)
        for measure, style in (("agreement_when_right", "-"), ("agreement_when_wrong", (0, (3, 2)))):
            # Where a supervisor errs nowhere, there is no agreement with its mistakes.
            line = [(row.share, value) for row in points if (value := getattr(row, measure)) is not None]
            if not line:
                continue
            lower.plot(*_columns(line), color=color, linewidth=1.8, linestyle=style, marker=".", zorder=3)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("share of the training steps")


def _draw_accuracy(axes: Axes, points: Sequence[CurveRow], color: str) -> None:
    """A line in its band, with a ring where validation says to stop and a cross where the test split would."""
    # Without truth there is no accuracy and no line, and agreement below is drawn all the same.
    known = [
        (row, row.test_accuracy, row.test_low, row.test_high)
        for row in points
        if row.test_accuracy is not None and row.test_low is not None and row.test_high is not None
    ]
    shares, values = [row.share for row, *_ in known], [value for _, value, _, _ in known]
    lows, highs = [low for _, _, low, _ in known], [high for _, _, _, high in known]
    # Of each evaluation by itself: that a line stays inside its band everywhere is not claimed.
    axes.fill_between(shares, lows, highs, color=color, alpha=0.12, linewidth=0, zorder=2)
    axes.plot(shares, values, color=color, linewidth=2, marker=".", zorder=3)
    for measure, marker in (("stopped", "o"), ("best", "x")):
        # Where most seeds are; of equally many the earliest, for which the number is negative.
        marked = [(getattr(row, measure), -row.evaluation, row.share, value) for row, value, _, _ in known]
        seeds, _, share, value = max(marked, default=(0, 0, 0.0, 0.0))
        if seeds:
            axes.plot([share], [value], color=color, **_mark(marker))


def _mark(marker: str) -> dict[str, Any]:
    return {
        "marker": marker,
        "linewidth": 0,
        "markersize": 10,
        "markerfacecolor": "none",
        "markeredgewidth": 1.8,
        "zorder": 4,
        "clip_on": False,
    }


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [share for share, _ in points], [value for _, value in points]


def _add_legend(figure: Figure, rows: Sequence[CurveRow], colors: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=color, linewidth=2, marker=".", label=name) for name, color in colors.items()]
    if any(row.stopped for row in rows):
        lines.append(Line2D([], [], color=MUTED, label="stopped by validation", **_mark("o")))
    lines.append(Line2D([], [], color=MUTED, label="best by test", **_mark("x")))
    if any(row.agreement is not None for row in rows):
        lines.append(Line2D([], [], color=MUTED, linewidth=1.8, label="supervisor right"))
        lines.append(Line2D([], [], color=MUTED, linewidth=1.8, linestyle=(0, (3, 2)), label="supervisor wrong"))
    figure.legend(handles=lines, loc="outside upper left", ncols=4, frameon=False)
