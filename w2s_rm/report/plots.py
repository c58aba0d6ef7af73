"""One figure for a slide: accuracies on the left, PGR on the right, a line for each method.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm.report.formats import by_run, percent, pgr_text, supervisor_name
from w2s_rm.report.rows import ReportRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _GRID, _BAND = "#1c2733", "#66727e", "#e1e6eb", "#eef1f4"
_MODELS = (  # name, color, marker, place within the line
    ("weak", "#8a6d3b", "s", -0.26),
    ("student", "#1f6fb4", "o", 0.0),
    ("ceiling", "#2e8b57", "D", 0.26),
)
_LABELS = {"weak": "weak supervisor", "student": "student", "ceiling": "strong ceiling"}
_UNRELIABLE = "#b9c1c9"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _INK,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "w2s-rm",
    "svg.fonttype": "path",
}
# Beyond these a PGR is drawn as an arrow: one wild interval must not flatten all others.
_PGR_LOWEST, _PGR_HIGHEST = -1.0, 2.0
_INCHES_PER_LINE = 0.68
# The upper edge of the first header.
_TOP = 0.08


@dataclass(frozen=True)
class Images:
    """A figure in two formats: `png` (`bytes`, 150 dots per inch) and `svg` (`bytes`)."""

    png: bytes
    svg: bytes


@dataclass(frozen=True)
class _Line:
    """Where a row is drawn: `y` is the height of its center."""

    row: ReportRow
    y: float


def plot(rows: Sequence[ReportRow]) -> Images:
    """Draw the figure of a report; the same rows give the same bytes.

    Args:
        rows (`Sequence[ReportRow]`): One to about a dozen rows of any number of runs, those of a run together.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure = _figure(rows)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Images(png.getvalue(), svg.getvalue())


def _figure(rows: Sequence[ReportRow]) -> Figure:
    # Figure and canvas without pyplot: no window system, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    groups, bottom = _layout(rows)
    figure = Figure(
        figsize=(12, 1.5 + _INCHES_PER_LINE * bottom), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    )
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.35, 1))
    for axes in (left, right):
        _prepare(axes, bottom)
    _draw_accuracies(left, groups)
    _draw_pgr(right, groups)
    for index, group in enumerate(groups):
        _draw_header(left, right, group, single=len(groups) == 1, first=index == 0)
    left.set_yticks(
        [line.y for group in groups for line in group],
        ["\n".join(textwrap.wrap(_short(line.row.method, 52), 26)) for group in groups for line in group],
    )
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False, handletextpad=0.5)
    return figure


def _layout(rows: Sequence[ReportRow]) -> tuple[list[list[_Line]], float]:
    """Place the lines from top to bottom, with room for a header above each run."""
    groups, y = [], 0.0
    for group in by_run(rows):
        y += 0.76
        groups.append([_Line(row, y + 0.5 + index) for index, row in enumerate(group)])
        y += len(group) + 0.1
    return groups, y


def _prepare(axes: Axes, bottom: float) -> None:
    axes.set_ylim(bottom, _TOP)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)


def _draw_header(left: Axes, right: Axes, group: Sequence[_Line], *, single: bool, first: bool) -> None:
    row, y = group[0].row, group[0].y - 0.87
    for axes in (left, right):
        axes.axhspan(y - 0.31, y + 0.31, color=_BAND, zorder=2, linewidth=0)
    title = f"{row.setting} / {row.task}" if single else f"{row.recipe}: {row.setting} / {row.task}"
    models = f"weak: {_short(supervisor_name(row), 38)}\nstrong: {_short(row.strong_model, 38)}"
    for axes, text, weight in ((left, _short(title, 62), "bold"), (right, models, "normal")):
        axes.text(
            0.01, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9, fontweight=weight, zorder=3
        )


def _draw_accuracies(axes: Axes, groups: Sequence[Sequence[_Line]]) -> None:
    named: set[str] = set()
    for group in groups:
        for line in group:
            _draw_gap(axes, line)
            for name, color, marker, offset in _MODELS:
                _draw_model(axes, line, name, color, marker, offset, labelled=name not in named)
                named |= {name} if _accuracy(line.row, name)[0] is not None else set()
        low, high = group[0].y - 0.45, group[-1].y + 0.45
        label = "chance" if group is groups[0] else None
        chance = group[0].row.chance
        axes.plot([chance] * 2, [low, high], color=_MUTED, linestyle=(0, (2, 2)), linewidth=1.3, label=label)
    low, high = _accuracy_range([line.row for group in groups for line in group])
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("test accuracy, 95 % intervals")


def _draw_gap(axes: Axes, line: _Line) -> None:
    """Shade from weak to ceiling: the student's place in it is the PGR."""
    weak, ceiling = line.row.weak_accuracy, line.row.ceiling_accuracy
    if weak is not None and ceiling is not None:
        axes.barh(line.y, ceiling - weak, left=weak, height=0.84, color="#dfeaf4", zorder=1, linewidth=0)


def _draw_model(axes: Axes, line: _Line, name: str, color: str, marker: str, offset: float, *, labelled: bool) -> None:
    value, low, high = _accuracy(line.row, name)
    if value is None or low is None or high is None:
        if name == "student":
            axes.text(0.75, line.y, "no ground truth", transform=axes.get_yaxis_transform(), ha="center", va="center",
                      color=_MUTED)  # fmt: skip
        return
    axes.errorbar(
        value, line.y + offset, xerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt=marker, color=color,
        markersize=7, capsize=3, linewidth=1.6, zorder=4, label=_LABELS[name] if labelled else None,
    )  # fmt: skip
    axes.annotate(
        percent(value), (high, line.y + offset), xytext=(6, 0), textcoords="offset points", va="center", color=color,
        fontsize=9, fontweight="bold" if name == "student" else "normal", zorder=5,
    )  # fmt: skip


def _draw_pgr(axes: Axes, groups: Sequence[Sequence[_Line]]) -> None:
    lines = [line for group in groups for line in group]
    low, high = _pgr_range([line.row for line in lines])
    axes.set_xlim(low, high)
    for mark in (0.0, 1.0):
        for group in groups:
            axes.plot([mark] * 2, [group[0].y - 0.5, group[-1].y + 0.5], color=_INK, linewidth=1, zorder=2)
    for line in lines:
        _draw_bar(axes, line, low, high)
        color = _INK if line.row.reliable else _MUTED
        if line.row.reliable is None:
            axes.text(0.5, line.y, "no PGR", va="center", ha="center", color=_MUTED, backgroundcolor="white")
            continue
        text = pgr_text(line.row).replace(" (not", "\n(not")
        axes.text(1.03, line.y, text, transform=axes.get_yaxis_transform(), va="center", color=color, fontsize=9.5)
    legend = "0 = weak, 1 = ceiling"
    if any(line.row.reliable is False for line in lines):
        legend += ", hatched = not reliable"
    axes.set_xlabel(f"performance gap recovered, 95 % intervals\n{legend}")


def _draw_bar(axes: Axes, line: _Line, low: float, high: float) -> None:
    row, y = line.row, line.y
    if row.reliable is None:
        return
    if row.pgr is not None:
        value = min(max(row.pgr, low), high)
        color, hatch = (_MODELS[1][1], None) if row.reliable else ("white", "////")
        edge = _MODELS[1][1] if row.reliable else _UNRELIABLE
        axes.barh(y, value, height=0.42, color=color, edgecolor=edge, hatch=hatch, zorder=3, linewidth=0.8)
    ink = _INK if row.reliable else _MUTED
    ends = [low if row.pgr_low is None else row.pgr_low, high if row.pgr_high is None else row.pgr_high]
    inside = [min(max(end, low), high) for end in ends]
    axes.plot(inside, [y, y], color=ink, linewidth=1.6, zorder=4, solid_capstyle="butt")
    for end, shown, beyond, arrow in zip(
        (row.pgr_low, row.pgr_high), inside, (ends[0] < low, ends[1] > high), ("<", ">"), strict=True
    ):
        marker = arrow if beyond or end is None else "|"
        axes.plot([shown], [y], marker=marker, color=ink, markersize=7, markeredgewidth=1.6, zorder=4, clip_on=False)


def _accuracy(row: ReportRow, name: str) -> tuple[float | None, float | None, float | None]:
    return {
        "weak": (row.weak_accuracy, row.weak_low, row.weak_high),
        "student": (row.student_accuracy, row.student_low, row.student_high),
        "ceiling": (row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
    }[name]


def _accuracy_range(rows: Sequence[ReportRow]) -> tuple[float, float]:
    """From chance or lower to the highest interval, with room for the numbers."""
    values = [row.chance for row in rows]
    values += [value for row in rows for name in _LABELS for value in _accuracy(row, name) if value is not None]
    if len(values) == len(rows):
        return 0.0, 1.0
    width = max(max(values) - min(values), 0.1)
    return max(0.0, min(values) - 0.06 * width), min(values) + 1.12 * width


def _pgr_range(rows: Sequence[ReportRow]) -> tuple[float, float]:
    """At least from 0 to 1, wider for reliable intervals, but never so wide that others cannot be read."""
    values = [0.0, 1.0]
    for row in rows:
        if row.reliable:
            values += [value for value in (row.pgr, row.pgr_low, row.pgr_high) if value is not None]
    return max(_PGR_LOWEST, min(values) - 0.08), min(_PGR_HIGHEST, max(values) + 0.08)


def _short(text: str, length: int) -> str:
    """Leave out the middle of a text that is too long: the ends of names tell models apart."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"
