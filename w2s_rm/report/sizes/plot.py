"""One figure: accuracy of students and PGR over the student's size, a line for each supervisor, a row for each grid.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.drawing import (
    BAND,
    CEILING,
    INK,
    MUTED,
    STUDENTS,
    UNRELIABLE,
    Images,
    new_figure,
    prepare,
    render,
)
from w2s_rm.report.sizes.rows import SizeRow, by_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE, _HIGH = 11.6, 4.4
# As in the other figures of PGR: one pair of almost no gap must not flatten all others.
_LOWEST, _HIGHEST = -1.0, 2.0
_DASHES: Any = (0, (3, 2))
_BESIDE = 0.06


def plot_sizes(rows: Sequence[SizeRow]) -> Images:
    """Draw accuracy and PGR over size; the same rows give the same bytes.

    Args:
        rows (`Sequence[SizeRow]`): Rows of any number of grids, at least one.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[SizeRow]) -> Figure:
    grids = by_grid(rows)
    figure = new_figure(_WIDE, _HIGH * len(grids))
    for grid, (left, right) in zip(grids, figure.subplots(len(grids), 2, squeeze=False), strict=True):
        _lay_out(left, grid)
        _lay_out(right, grid)
        _draw_ceiling(left, grid)
        for place, line in enumerate(lines := _lines(grid)):
            # Beside each other, so that none hides another.
            beside = 2 ** (_BESIDE * (place - (len(lines) - 1) / 2))
            _draw_accuracy(left, line, STUDENTS[place % len(STUDENTS)], beside)
            _draw_pgr(right, line, STUDENTS[place % len(STUDENTS)], beside)
        left.set_ylabel("accuracy of the student")
        left.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        right.set_ylabel("performance gap recovered\n(0 = weak, 1 = ceiling)")
        right.set_ylim(*_limits(grid))
        for mark in (0.0, 1.0):
            right.axhline(mark, color=INK, linewidth=1, zorder=1)
        left.set_title(f"{grid[0].task}, {grid[0].method}", loc="left", fontweight="bold", fontsize=10)
        right.legend(
            *left.get_legend_handles_labels(), frameon=False, fontsize=9, title="supervisor", title_fontsize=9,
            loc="upper left", bbox_to_anchor=(1.0, 1.0),
        )  # fmt: skip
    return figure


def _lines(grid: Sequence[SizeRow]) -> list[list[SizeRow]]:
    """Rows by supervisor, from small to large, each from small students to large ones."""
    sizes = sorted({row.weak_size for row in grid})
    ordered = sorted(grid, key=lambda row: row.strong_size)
    return [[row for row in ordered if row.weak_size == size] for size in sizes]


def _lay_out(axes: Axes, grid: Sequence[SizeRow]) -> None:
    prepare(axes, grid="y")
    axes.set_xscale("log", base=2)
    measured = sorted({row.strong_size for row in grid if not row.outside})
    # One for all supervisors: the step beyond the largest student.
    (beyond,) = {row.strong_size for row in grid if row.outside}
    axes.set_xticks([*measured, beyond], [*(f"{size:,.0f}" for size in measured), f"({beyond:,.0f})"])
    axes.minorticks_off()
    # On a logarithmic axis: the edge is in the middle between the last size that was measured and the one beyond it.
    edge, end = (measured[-1] * beyond) ** 0.5, beyond * (beyond / measured[-1]) ** 0.3
    axes.axvspan(edge, end, color=BAND, zorder=0)
    axes.text(end, 0.02, "not measured ", transform=axes.get_xaxis_transform(), ha="right", color=MUTED, fontsize=8)
    axes.set_xlim(measured[0] / (beyond / measured[-1]) ** 0.3, end)
    axes.set_xlabel("size of the student (layers × width²)")


def _draw_ceiling(axes: Axes, grid: Sequence[SizeRow]) -> None:
    by_size: dict[float, list[float]] = {}
    for row in grid:
        if row.ceiling_accuracy is not None:
            by_size.setdefault(row.strong_size, []).append(row.ceiling_accuracy)
    sizes = sorted(by_size)
    # Runs of one student mostly share its ceiling; where they do not, their mean.
    means = [sum(by_size[size]) / len(by_size[size]) for size in sizes]
    axes.plot(sizes, means, color=CEILING, linewidth=1.4, linestyle=_DASHES, zorder=2, label="trained on the truth")


def _draw_accuracy(axes: Axes, line: Sequence[SizeRow], color: str, beside: float) -> None:
    _draw_fit(axes, line, color, "fitted_accuracy")
    for row in line:
        ends = [end for end in (row.student_low, row.student_high) if end is not None]
        axes.plot([row.strong_size * beside] * len(ends), ends, color=color, linewidth=1.2, zorder=3)
    points = [(row.strong_size * beside, row.student_accuracy) for row in line if row.student_accuracy is not None]
    places, values = zip(*points, strict=True)
    axes.plot(
        places, values, color=color, marker="o", markersize=5, linewidth=0, zorder=4, label=line[0].weak_model
    )  # fmt: skip


def _draw_pgr(axes: Axes, line: Sequence[SizeRow], color: str, beside: float) -> None:
    # Of a model that supervises itself the line would say what no pair can show.
    larger = [row for row in line if row.strong_size > row.weak_size]
    _draw_fit(axes, larger, color, "fitted_pgr")
    for row in larger:
        if row.pgr is not None:
            own, x = color if row.reliable else UNRELIABLE, row.strong_size * beside
            if row.pgr_low is not None and row.pgr_high is not None:
                axes.plot([x, x], [row.pgr_low, row.pgr_high], color=own, linewidth=1.2, zorder=3)
            axes.plot([x], [row.pgr], color=own, marker="o", markersize=5, zorder=4)


def _draw_fit(axes: Axes, line: Sequence[SizeRow], color: str, name: str) -> None:
    """The curve, dashed where nothing was measured, with its interval there."""
    points = [(row.strong_size, getattr(row, name), row) for row in line if getattr(row, name) is not None]
    inside = [(size, value) for size, value, row in points if not row.outside]
    axes.plot(*zip(*inside, strict=True), color=color, linewidth=1.6, zorder=3) if inside else None
    # Rows are in the order of sizes, so the one beyond is the last.
    if inside and points[-1][2].outside:
        size, value, row = points[-1]
        axes.plot(
            [inside[-1][0], size], [inside[-1][1], value], color=color, linewidth=1.6, linestyle=_DASHES, zorder=3
        )
        ends = [getattr(row, f"{name}_{end}") for end in ("low", "high")]
        if None not in ends:
            axes.plot([size] * 2, ends, color=color, linewidth=1.2, alpha=0.6, zorder=3)
        axes.plot([size], [value], color=color, marker="o", markersize=5, markerfacecolor="white", zorder=4)


def _limits(grid: Sequence[SizeRow]) -> tuple[float, float]:
    larger = [row for row in grid if row.strong_size > row.weak_size]
    known = [value for row in larger for value in (row.pgr, row.fitted_pgr) if value is not None]
    return max(_LOWEST, min([0.0, *known]) - 0.08), min(_HIGHEST, max([1.0, *known]) + 0.08)
