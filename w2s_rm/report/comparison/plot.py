"""One figure: the difference of each method to the baseline, a column for each setting, a color for each run.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.comparison.content import baseline_name
from w2s_rm.report.comparison.rows import ComparisonRow, by_method, by_run
from w2s_rm.report.drawing import INK, STUDENTS, Images, new_figure, prepare, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_PER_LINE, _INCHES_PER_RUN = 6.4, 0.5, 0.2
# Of the ends of intervals, how many must fit in: a control that is far off would else press all others into a line.
_SHARE_SHOWN, _ROOM = 0.9, 1.25


def plot_comparison(rows: Sequence[ComparisonRow]) -> Images:
    """Draw what each method gains on the baseline; the same rows give the same bytes.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[ComparisonRow]) -> Figure:
    settings = list(dict.fromkeys(row.setting for row in rows))
    # The column with the most lines makes the height, and those with fewer have them further apart.
    most = max(len(by_method([row for row in rows if row.setting == setting])) for setting in settings)
    runs = max(len(by_run([row for row in rows if row.setting == setting])) for setting in settings)
    figure = new_figure(_INCHES_WIDE * len(settings), 1.5 + _INCHES_PER_RUN * runs + _INCHES_PER_LINE * most)
    panels = figure.subplots(1, len(settings), squeeze=False)[0]
    for axes, setting in zip(panels, settings, strict=True):
        _draw_setting(axes, [row for row in rows if row.setting == setting])
        axes.set_title(setting, fontweight="bold", loc="left")
    return figure


def _draw_setting(axes: Axes, rows: Sequence[ComparisonRow]) -> None:
    prepare(axes, grid="x")
    groups = by_method(rows)
    runs = by_run(rows)
    places = {id(row): place for place, of_run in enumerate(runs.values()) for row in of_run}
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.axvline(0.0, color=INK, linewidth=1, zorder=2)
    limit = _limit(rows)
    axes.set_xlim(-limit, limit)
    for y, group in enumerate(groups):
        for row in group:
            place = places[id(row)]
            # Runs of a method lie beside each other, none on another.
            height = y + 0.6 * ((place + 0.5) / len(runs) - 0.5)
            color = STUDENTS[place % len(STUDENTS)]
            _draw_row(axes, row, height, color, limit)
    axes.set_yticks(range(len(groups)), [group[0].method for group in groups])
    axes.set_xlabel(
        f"accuracy minus that of {baseline_name(rows)}, points\n"
        "intervals hold together; filled: told apart; arrows: it goes on"
    )
    # Above the title: about 0.45 inches, in units of the panel's height.
    _add_legend(axes, list(runs), 1 + 0.45 / (_INCHES_PER_LINE * len(groups)))


def _limit(rows: Sequence[ComparisonRow]) -> float:
    """Half the width of the axis, points."""
    ends = sorted(100 * max(abs(row.low), abs(row.high)) for row in rows)
    # An axis needs a width, also where no student differs from the baseline's.
    return _ROOM * max(ends[int(_SHARE_SHOWN * (len(ends) - 1))], 1e-6)


def _draw_row(axes: Axes, row: ComparisonRow, height: float, color: str, limit: float) -> None:
    low, high, difference = 100 * row.low, 100 * row.high, 100 * row.difference
    filled = color if row.better or row.worse else "white"
    line: dict[str, Any] = {"color": color, "linewidth": 1.6, "zorder": 3, "solid_capstyle": "butt"}
    axes.plot([max(low, -limit), min(high, limit)], [height] * 2, **line)
    for end, beyond, marker in ((-limit, low < -limit, "<"), (limit, high > limit, ">")):
        # An interval that goes on beyond the panel points on.
        if beyond:
            axes.plot([end], [height], clip_on=False, markerfacecolor=filled, **{**_mark(color), "marker": marker})
    if abs(difference) <= limit:
        axes.plot([difference], [height], markerfacecolor=filled, **_mark(color))


def _mark(color: str) -> dict[str, Any]:
    return {"marker": "o", "markersize": 6, "color": color, "linewidth": 0, "zorder": 4}


def _add_legend(axes: Axes, runs: Sequence[str], height: float) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], label=run, **_mark(STUDENTS[place % len(STUDENTS)])) for place, run in enumerate(runs)]
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, height), frameon=False, borderaxespad=0)
