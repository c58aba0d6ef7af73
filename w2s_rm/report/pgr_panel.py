"""The right panel of the figure: performance gap recovered, all runs on one axis so that they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_rm.report.drawing import INK, MUTED, STUDENT, UNRELIABLE, Line
from w2s_rm.report.formats import pgr_text
from w2s_rm.report.rows import ReportRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Beyond these a PGR is drawn as an arrow: one wild interval must not flatten all others.
_LOWEST, _HIGHEST = -1.0, 2.0


def draw_pgr(axes: Axes, groups: Sequence[Sequence[Line]]) -> None:
    """Draw the panel.

    Args:
        axes (`Axes`): Where to draw.
        groups (`Sequence[Sequence[Line]]`): The lines of each run.
    """
    lines = [line for group in groups for line in group]
    low, high = _range([line.row for line in lines])
    axes.set_xlim(low, high)
    for mark in (0.0, 1.0):
        for group in groups:
            axes.plot([mark] * 2, [group[0].y - 0.5, group[-1].y + 0.5], color=INK, linewidth=1, zorder=2)
    for line in lines:
        _draw_bar(axes, line, low, high)
        color = INK if line.row.reliable else MUTED
        # In the middle between 0 and 1, which every panel shows.
        if line.row.reliable is None:
            axes.text(0.5, line.y, "no PGR", va="center", ha="center", color=MUTED, backgroundcolor="white")
            continue
        # On a line of its own; in one line it runs out of the figure.
        text = pgr_text(line.row).replace(" (not", "\n(not")
        axes.text(1.03, line.y, text, transform=axes.get_yaxis_transform(), va="center", color=color, fontsize=9.5)
    legend = "0 = weak, 1 = ceiling"
    if any(line.row.reliable is False for line in lines):
        legend += ", hatched = not reliable"
    axes.set_xlabel(f"performance gap recovered, 95 % intervals\n{legend}")


def _draw_bar(axes: Axes, line: Line, low: float, high: float) -> None:
    row, y = line.row, line.y
    if row.reliable is None:
        return
    if row.pgr is not None:
        # A value beyond the panel ends at its edge; the number beside it is the true one.
        value = min(max(row.pgr, low), high)
        color, hatch = (STUDENT, None) if row.reliable else ("white", "////")
        edge = STUDENT if row.reliable else UNRELIABLE
        axes.barh(y, value, height=0.42, color=color, edgecolor=edge, hatch=hatch, zorder=3, linewidth=0.8)
    ink = INK if row.reliable else MUTED
    ends = [low if row.pgr_low is None else row.pgr_low, high if row.pgr_high is None else row.pgr_high]
    inside = [min(max(end, low), high) for end in ends]
    axes.plot(inside, [y, y], color=ink, linewidth=1.6, zorder=4, solid_capstyle="butt")
    for end, shown, beyond, arrow in zip(
        (row.pgr_low, row.pgr_high), inside, (ends[0] < low, ends[1] > high), ("<", ">"), strict=True
    ):
        # An end that is unbounded, or beyond the panel, points on; others have a cap.
        marker = arrow if beyond or end is None else "|"
        axes.plot([shown], [y], marker=marker, color=ink, markersize=7, markeredgewidth=1.6, zorder=4, clip_on=False)


def _range(rows: Sequence[ReportRow]) -> tuple[float, float]:
    """At least from 0 to 1, wider for reliable intervals, but never so wide that others cannot be read."""
    values = [0.0, 1.0]
    for row in rows:
        if row.reliable:
            values += [value for value in (row.pgr, row.pgr_low, row.pgr_high) if value is not None]
    return max(_LOWEST, min(values) - 0.08), min(_HIGHEST, max(values) + 0.08)
