"""One figure: accuracies in groups of test examples, a line of panels for each run, a panel for each grouping.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.drawing import CEILING, STUDENTS, WEAK, Images, new_figure, prepare, render
from w2s_rm.report.subsets.groupings import GROUPINGS
from w2s_rm.report.subsets.rows import SubsetRow, subsets_by_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_HIGH = 4.4, 3.4
_FIRST: dict[str, Any] = {"linestyle": (0, (3, 2)), "linewidth": 1.2, "markersize": 5}


def plot_subsets(rows: Sequence[SubsetRow]) -> Images:
    """Draw accuracies by group; the same rows give the same bytes.

    Args:
        rows (`Sequence[SubsetRow]`): Rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[SubsetRow]) -> Figure:
    groups = subsets_by_run(rows)
    subsets = [subset for subset in GROUPINGS if any(row.subset == subset for row in rows)]
    methods = list(dict.fromkeys(row.method for row in rows))
    colors = {method: STUDENTS[index % len(STUDENTS)] for index, method in enumerate(methods)}
    figure = new_figure(_INCHES_WIDE * len(subsets), 0.7 + _INCHES_HIGH * len(groups))
    panels = figure.subplots(len(groups), len(subsets), squeeze=False, sharey="row")
    for group, line in zip(groups, panels, strict=True):
        for axes, subset in zip(line, subsets, strict=True):
            _draw(axes, [row for row in group if row.subset == subset], colors)
            axes.set_title(f"{group[0].recipe}: {subset}" if len(groups) > 1 else subset, fontweight="bold", loc="left")
        line[0].set_ylabel("accuracy, 95 % intervals")
    _add_legend(figure, colors)
    return figure


def _draw(axes: Axes, rows: Sequence[SubsetRow], colors: Mapping[str, str]) -> None:
    prepare(axes, grid="y")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    names = list(dict.fromkeys(row.group for row in rows))
    # Supervisor and ceiling that methods share are drawn once.
    first = [row for row in rows if row.method == rows[0].method]
    weak, ceiling = [row.weak_accuracy for row in first], [row.ceiling_accuracy for row in first]
    for accuracies, color, marker in ((weak, WEAK, "s"), (ceiling, CEILING, "D")):
        both = zip(first, accuracies, strict=True)
        points = [(names.index(row.group), accuracy) for row, accuracy in both if accuracy is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, marker=marker, **_FIRST)
    for number, (method, color) in enumerate(colors.items()):
        own = [row for row in rows if row.method == method]
        # Beside each other in half of a group's room, so that none hides another.
        shift = 0.5 * ((number + 0.5) / len(colors) - 0.5)
        x, y = [names.index(row.group) + shift for row in own], [row.student_accuracy for row in own]
        ends = [
            # matplotlib refuses an error below zero, were it by rounding alone.
            [max(0.0, row.student_accuracy - row.student_low) for row in own],
            [max(0.0, row.student_high - row.student_accuracy) for row in own],
        ]
        axes.errorbar(x, y, yerr=ends, color=color, marker="o", markersize=5, linewidth=1.4, elinewidth=1.0)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names])


def _add_legend(figure: Figure, colors: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=WEAK, marker="s", label="weak supervisor", **_FIRST),
        *(Line2D([], [], color=color, marker="o", label=method) for method, color in colors.items()),
        Line2D([], [], color=CEILING, marker="D", label="strong ceiling", **_FIRST),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)), frameon=False)
