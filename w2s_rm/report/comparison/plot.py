"""One figure: the difference of each method to the baseline, a column for each setting, a color for each run.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.comparison.content import baseline_name
from w2s_rm.report.comparison.rows import ComparisonRow, by_method
from w2s_rm.report.drawing import INK, STUDENTS, Images, new_figure, prepare, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_PER_LINE = 6.4, 0.5


def plot_comparison(rows: Sequence[ComparisonRow]) -> Images:
    """Draw what each method gains on the baseline; the same rows give the same bytes.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[ComparisonRow]) -> Figure:
    settings = list(dict.fromkeys(row.setting for row in rows))
    most = max(len(by_method([row for row in rows if row.setting == setting])) for setting in settings)
    figure = new_figure(_INCHES_WIDE * len(settings), 1.9 + _INCHES_PER_LINE * most)
    panels = figure.subplots(1, len(settings), squeeze=False)[0]
    for axes, setting in zip(panels, settings, strict=True):
        _draw_setting(axes, [row for row in rows if row.setting == setting])
        axes.set_title(setting, fontweight="bold", loc="left")
    return figure


def _draw_setting(axes: Axes, rows: Sequence[ComparisonRow]) -> None:
    prepare(axes, grid="x")
    groups = by_method(rows)
    runs = list(dict.fromkeys(row.recipe for row in rows))
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.axvline(0.0, color=INK, linewidth=1, zorder=2)
    for y, group in enumerate(groups):
        for row in group:
            place = runs.index(row.recipe)
            # Runs of a method lie beside each other, none on another.
            height = y + 0.6 * ((place + 0.5) / len(runs) - 0.5)
            color = STUDENTS[place % len(STUDENTS)]
            ends = [100 * row.low, 100 * row.high]
            axes.plot(ends, [height] * 2, color=color, linewidth=1.6, zorder=3, solid_capstyle="butt")
            filled = color if row.better or row.worse else "white"
            axes.plot([100 * row.difference], [height], markerfacecolor=filled, **_mark(color))
    axes.set_yticks(range(len(groups)), [group[0].method for group in groups])
    axes.set_xlabel(
        f"accuracy minus that of {baseline_name(rows)}, points\nintervals hold together; filled: told apart"
    )
    _add_legend(axes, runs)


def _mark(color: str) -> dict[str, Any]:
    return {"marker": "o", "markersize": 6, "color": color, "linewidth": 0, "zorder": 4}


def _add_legend(axes: Axes, runs: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], label=run, **_mark(STUDENTS[place % len(STUDENTS)])) for place, run in enumerate(runs)]
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1.08), ncols=min(2, len(runs)), frameon=False)
