"""One figure: accuracy over confidence, a small panel for the labels and for each model.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_rm.render.numbers import percent
from w2s_rm.report.calibration.rows import Bin, CalibrationRow
from w2s_rm.report.drawing import CEILING, INK, MUTED, STUDENT, WEAK, Images, new_figure, prepare, render, shortened
from w2s_rm.roles import CEILING as CEILING_ROLE
from w2s_rm.roles import STUDENT as STUDENT_ROLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {STUDENT_ROLE: STUDENT, CEILING_ROLE: CEILING}
_COLUMNS = 5
# What there is room for above a panel.
_CHARACTERS = 26
# Inches: of a panel, between panels, and around them all.
_PANEL, _ACROSS, _ABOVE, _LEFT, _BOTTOM, _TOP, _RIGHT = 1.9, 0.2, 0.45, 0.65, 0.55, 0.75, 0.15


def plot_calibration(rows: Sequence[CalibrationRow]) -> Images:
    """Draw reliability diagrams; the same rows give the same bytes.

    Args:
        rows (`Sequence[CalibrationRow]`): Rows of any number of runs, at least one.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[CalibrationRow]) -> Figure:
    columns = min(_COLUMNS, len(rows))
    lines = math.ceil(len(rows) / columns)
    # At least as wide as three panels, for the legend.
    width = _LEFT + max(3, columns) * (_PANEL + _ACROSS) - _ACROSS + _RIGHT
    height = _BOTTOM + lines * (_PANEL + _ABOVE) - _ABOVE + _TOP
    figure = new_figure(width, height)
    # Panels of one size need no engine that measures each text of each of them, which takes seconds.
    figure.set_layout_engine("none")
    several = len({row.recipe for row in rows}) > 1
    low = _lowest(rows)
    for place, row in enumerate(rows):
        line, column = divmod(place, columns)
        left, bottom = _LEFT + column * (_PANEL + _ACROSS), height - _TOP - _PANEL - line * (_PANEL + _ABOVE)
        axes = figure.add_axes((left / width, bottom / height, _PANEL / width, _PANEL / height))
        _draw(axes, row, low)
        # Numbers on the left, and below panels that have none under them.
        axes.tick_params(labelsize=8, labelleft=column == 0, labelbottom=place + columns >= len(rows))
        names = [shortened(name, _CHARACTERS) for name in ((row.recipe, row.title) if several else (row.title,))]
        axes.set_title("\n".join(names), fontsize=9, fontweight="bold", pad=4)
    figure.text(_LEFT / width, 0.12 / height, "confidence, %", fontsize=10)
    figure.text(0.12 / width, 1 - _TOP / height, "accuracy, %", fontsize=10, rotation=90, va="top")
    _add_legend(figure)
    return figure


def _draw(axes: Axes, row: CalibrationRow, low: float) -> None:
    prepare(axes, grid="both")
    axes.plot([low, 1], [low, 1], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=2)
    # First, so that the model as it is lies above.
    _draw_bins(axes, row.tempered_bins, MUTED, hollow=True)
    _draw_bins(axes, row.bins, _COLORS.get(row.role, WEAK), hollow=False)
    ticks = [low, (low + 1) / 2, 1]
    labels = [f"{100 * tick:.0f}" for tick in ticks]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.set_xlim(low - 0.01, 1.02)
    axes.set_ylim(low - 0.01, 1.02)
    text = f"ECE {percent(row.ece)}"
    if row.tempered_ece is not None:
        text += f"\nat T: {percent(row.tempered_ece)}"
    axes.text(0.98, 0.04, text, transform=axes.transAxes, ha="right", fontsize=8, color=INK)


def _lowest(rows: Sequence[CalibrationRow]) -> float:
    """Down to the next tenth below all marks: with two candidates none is below one half but by chance."""
    bins = [mark for row in rows for mark in (*row.bins, *row.tempered_bins)]
    lowest = min(min(mark.confidence, mark.accuracy) for mark in bins)
    # Confidences of one half are a little below it by rounding.
    return max(0.0, math.floor(10 * lowest + 1e-6) / 10)


def _draw_bins(axes: Axes, bins: Sequence[Bin], color: str, *, hollow: bool) -> None:
    x, y = [mark.confidence for mark in bins], [mark.accuracy for mark in bins]
    if not hollow:
        # The error is that of examples alone, which are many: the normal quantile will do.
        ends = [1.96 * mark.error for mark in bins]
        low, high = ([b + sign * e for b, e in zip(y, ends, strict=True)] for sign in (-1, 1))
        axes.vlines(x, low, high, color=color, linewidth=1, alpha=0.5)
    axes.plot(
        x, y, color=color, linewidth=0.8 if hollow else 1.4, marker="o", markersize=3 if hollow else 3.5,
        markerfacecolor="white" if hollow else color, zorder=3 if hollow else 4,
    )  # fmt: skip


def _add_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=STUDENT, marker="o", markersize=4, label="as it is; bars: 95 % intervals over examples"),
        Line2D([], [], color=MUTED, marker="o", markersize=3.5, markerfacecolor="white", label="with temperature T"),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), label="calibrated"),
    ]
    figure.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=9, borderaxespad=0.3)
