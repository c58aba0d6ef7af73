"""One figure for a slide: accuracies on the left, PGR on the right, a line for each method.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.render.numbers import percent
from w2s_rm.report.accuracy_panel import draw_accuracies
from w2s_rm.report.drawing import BAND, MUTED, Images, Line, new_figure, prepare, render, shortened
from w2s_rm.report.formats import by_run, supervisor_name
from w2s_rm.report.pgr_panel import draw_pgr
from w2s_rm.report.rows import ReportRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_PER_LINE = 0.68
# The upper edge of the first header.
_TOP = 0.08


def plot(rows: Sequence[ReportRow]) -> Images:
    """Draw the figure of a report; the same rows give the same bytes.

    Args:
        rows (`Sequence[ReportRow]`): One to about a dozen rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[ReportRow]) -> Figure:
    groups, bottom = _layout(rows)
    figure = new_figure(12, 1.5 + _INCHES_PER_LINE * bottom, h_pad=0.1)
    # One scale of heights, so that a row has its accuracies and its PGR on one line.
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.35, 1))
    for axes in (left, right):
        axes.set_ylim(bottom, _TOP)
        prepare(axes, grid="x")
    draw_accuracies(left, groups)
    draw_pgr(right, groups)
    tasks = [_task_of(group[0]) for group in groups]
    for group, task in zip(groups, tasks, strict=True):
        _draw_header(left, right, group[0], alone=tasks.count(task) == 1)
    left.set_yticks(
        [line.y for group in groups for line in group],
        ["\n".join(textwrap.wrap(shortened(line.row.method, 52), 26)) for group in groups for line in group],
    )
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False, handletextpad=0.5)
    return figure


def _layout(rows: Sequence[ReportRow]) -> tuple[list[list[Line]], float]:
    """Place the lines from top to bottom, with room for a header above each run."""
    # From the top, in units of one line.
    groups, y = [], 0.0
    for group in by_run(rows):
        y += 0.76
        groups.append([Line(row, y + 0.5 + index) for index, row in enumerate(group)])
        y += len(group) + 0.1
    return groups, y


def _task_of(line: Line) -> str:
    return f"{line.row.setting} / {line.row.task}"


def _draw_header(left: Axes, right: Axes, first: Line, *, alone: bool) -> None:
    """Name the run above its first line: by setting and task, which a reader compares, if no other run has the same."""
    # The middle of the room that `_layout` leaves above a run's first line.
    row, y = first.row, first.y - 0.87
    for axes in (left, right):
        axes.axhspan(y - 0.31, y + 0.31, color=BAND, zorder=2, linewidth=0)
    task = _task_of(first)
    title = task if alone else f"{shortened(row.recipe, max(10, 50 - len(task)))}: {task}"
    models = f"weak: {shortened(supervisor_name(row), 38)}\nstrong: {shortened(row.strong_model, 38)}"
    common: dict[str, Any] = {"va": "center", "fontsize": 9, "zorder": 3}
    left.text(0.01, y, shortened(title, 52), transform=left.get_yaxis_transform(), fontweight="bold", **common)
    chance = f"chance {percent(row.chance)} %"
    left.text(0.99, y, chance, transform=left.get_yaxis_transform(), ha="right", color=MUTED, **common)
    right.text(0.01, y, models, transform=right.get_yaxis_transform(), **common)
