"""One figure: accuracy over the share of the examples that a model answers, a panel for each run.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.breakdown.rows import HALF, SHARES, BreakdownRow, by_run
from w2s_rm.report.drawing import CEILING, STUDENTS, WEAK, Images, new_figure, prepare, render, shortened
from w2s_rm.roles import STUDENT as STUDENT_ROLE
from w2s_rm.roles import WEAK as WEAK_ROLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE, _HIGH = 4.6, 3.4
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))


def plot_breakdown(rows: Sequence[BreakdownRow]) -> Images:
    """Draw abstention curves; the same rows give the same bytes.

    Args:
        rows (`Sequence[BreakdownRow]`): Rows of any number of runs, at least one, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[BreakdownRow]) -> Figure:
    runs = by_run(rows)
    styles = _styles(rows)
    figure = new_figure(_WIDE * len(runs) + 2.2, _HIGH)
    for axes, (run, of_run) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        _draw_run(axes, of_run, styles)
        if len(runs) > 1:
            axes.set_title(shortened(run, 40), fontsize=10, fontweight="bold")
    _add_legend(figure, styles)
    return figure


def _styles(rows: Sequence[BreakdownRow]) -> dict[str, dict[str, Any]]:
    """A color and a dash for each model, the same in all panels; those beyond the colors have other dashes."""
    # Students are many and take the colors; supervisors and ceilings have one each, as elsewhere, and differ in dashes.
    students = list(dict.fromkeys(row.title for row in rows if row.role == STUDENT_ROLE))
    others: dict[str, list[str]] = {WEAK: [], CEILING: []}
    for row in rows:
        names = others[WEAK if row.role == WEAK_ROLE else CEILING]
        if row.role != STUDENT_ROLE and row.title not in names:
            names.append(row.title)
    styles = {}
    for color, names in others.items():
        for place, name in enumerate(names):
            styles[name] = {"color": color, "linestyle": _DASHES[place % len(_DASHES)]}
    for place, name in enumerate(students):
        turn, index = divmod(place, len(STUDENTS))
        styles[name] = {"color": STUDENTS[index], "linestyle": _DASHES[turn % len(_DASHES)]}
    # In the order of the rows, which the legend follows.
    return {title: styles[title] for title in dict.fromkeys(row.title for row in rows)}


def _draw_run(axes: Axes, rows: Sequence[BreakdownRow], styles: Mapping[str, Mapping[str, Any]]) -> None:
    prepare(axes, grid="both")
    for place, row in enumerate(rows):
        style = styles[row.title]
        axes.plot(SHARES, row.answered, linewidth=1.8, zorder=3, **style)
        # Beside each other, so that none hides another.
        x = HALF + 0.012 * (place - (len(rows) - 1) / 2)
        axes.vlines(x, row.half_accuracy_low, row.half_accuracy_high, color=style["color"], linewidth=1.2, zorder=4)
        axes.plot([x], [row.half_accuracy], color=style["color"], marker="o", markersize=3.5, zorder=4)
    axes.set_xticks([0.1, 0.25, HALF, 0.75, 1.0])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("share of the test examples that is answered, the surest")
    axes.set_ylabel("accuracy on these")


def _add_legend(figure: Figure, styles: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], linewidth=1.8, label=shortened(name, 30), **style) for name, style in styles.items()]
    figure.legend(handles=lines, loc="outside right upper", frameon=False, fontsize=9)
