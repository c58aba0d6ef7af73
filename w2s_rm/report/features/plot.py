"""One figure: accuracy and PGR over the penalty, a column for each layer.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.drawing import CEILING, INK, MUTED, STUDENTS, WEAK, Images, new_figure, prepare, render
from w2s_rm.report.features.rows import FeatureRow, features_by_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_HIGH = 3.8, 5.6
# As in the figure of PGR: one student far below its supervisor must not flatten all others.
_LOWEST, _HIGHEST = -1.0, 2.0
_DASHED: dict[str, Any] = {"linewidth": 1.2, "linestyle": (0, (3, 2)), "zorder": 1}


def plot_features(rows: Sequence[FeatureRow]) -> Images:
    """Draw accuracy and PGR against regularisation; the same rows give the same bytes.

    Args:
        rows (`Sequence[FeatureRow]`): Rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[FeatureRow]) -> Figure:
    groups = features_by_run(rows)
    columns = max(len(_layers(group)) for group in groups)
    methods = list(dict.fromkeys(row.method for row in rows))
    colors = {method: STUDENTS[index % len(STUDENTS)] for index, method in enumerate(methods)}
    # At least two columns wide, for the legend.
    figure = new_figure(1.2 + _INCHES_WIDE * max(columns, 2), 1.2 + _INCHES_HIGH * len(groups))
    panels = figure.subplots(2 * len(groups), columns, sharey="row", squeeze=False)
    for group, pairs in zip(groups, panels.reshape(len(groups), 2, columns), strict=True):
        _draw_run(group, pairs, colors, named=len(groups) > 1)
    _add_legend(figure, colors)
    return figure


def _layers(group: Sequence[FeatureRow]) -> list[int]:
    return sorted({row.layer for row in group})


def _draw_run(group: Sequence[FeatureRow], pairs: Any, colors: Mapping[str, str], *, named: bool) -> None:
    """Draw a run into its panels, an array of two rows: a column for each layer, columns left over empty."""
    layers = _layers(group)
    for column, (upper, lower) in enumerate(pairs.T):
        if column >= len(layers):
            upper.set_visible(False)
            lower.set_visible(False)
            continue
        _draw_layer(upper, lower, [row for row in group if row.layer == layers[column]], colors)
        title = f"layer {layers[column]}"
        upper.set_title(f"{group[0].recipe}: {title}" if named else title, fontweight="bold")
    upper, lower = pairs[:, 0]
    upper.set_ylabel("accuracy on the test split")
    lower.set_ylabel("performance gap recovered\n(0 = weak, 1 = ceiling)")
    known = [row.pgr for row in group if row.pgr is not None]
    # From 0 to 1 at least, so that a reader sees where supervisor and ceiling are.
    lower.set_ylim(max(_LOWEST, min([0.0, *known]) - 0.08), min(_HIGHEST, max([1.0, *known]) + 0.08))


def _draw_layer(upper: Axes, lower: Axes, rows: Sequence[FeatureRow], colors: Mapping[str, str]) -> None:
    lower.sharex(upper)
    for axes in (upper, lower):
        prepare(axes, grid="both")
        axes.set_xscale("log")
    first = rows[0]
    if first.weak_accuracy is not None:
        upper.axhline(first.weak_accuracy, color=WEAK, **_DASHED)
    for mark in (0.0, 1.0):
        lower.axhline(mark, color=INK, linewidth=1, zorder=1)
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        for axes, values in ((upper, [row.student_accuracy for row in own]), (lower, [row.pgr for row in own])):
            _draw_line(axes, own, values, colors[method], [row.chosen for row in own])
        # Once, as the first method has it: most methods share their ceiling.
        if method == first.method:
            alike = [row.like_ceiling_accuracy for row in own]
            _draw_line(upper, own, alike, CEILING, [row.ceiling_chosen for row in own])
    upper.tick_params(labelbottom=False)
    upper.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    lower.set_xlabel("penalty l2")


def _draw_line(
    axes: Axes, rows: Sequence[FeatureRow], values: Sequence[float | None], color: str, chosen: Sequence[int]
) -> None:
    """A line over the penalties, with a ring where validation chose."""
    points = [(row.l2, value, n) for row, value, n in zip(rows, values, chosen, strict=True) if value is not None]
    # All points make the line; those that some seed chose have a ring.
    line, rings = ([(l2, value) for l2, value, n in points if n >= least] for least in (0, 1))
    axes.plot(*_columns(line), color=color, linewidth=2, marker=".", zorder=3)
    axes.plot(
        *_columns(rings), linewidth=0, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=color,
        markeredgewidth=1.8, zorder=4,
    )  # fmt: skip


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [l2 for l2, _ in points], [value for _, value in points]


def _add_legend(figure: Figure, colors: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=color, linewidth=2, marker=".", label=name) for name, color in colors.items()]
    lines.append(Line2D([], [], color=CEILING, linewidth=2, marker=".", label="trained on the truth"))
    lines.append(Line2D([], [], color=WEAK, linewidth=1.2, linestyle=(0, (3, 2)), label="weak"))
    lines.append(
        Line2D([], [], color=MUTED, marker="o", linewidth=0, markersize=11, markerfacecolor="none", label="chosen")
    )
    # About as wide as the labels will be, a mark and its letters: where they do not fit into one line, three columns.
    inches = sum(0.7 + 0.09 * len(str(line.get_label())) for line in lines)
    columns = len(lines) if inches < figure.get_figwidth() else 3
    figure.legend(handles=lines, loc="outside upper left", ncols=columns, frameon=False)
