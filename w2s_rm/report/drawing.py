"""What the panels of the figure share: colors, and where a row is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from w2s_rm.report.rows import ReportRow

INK, MUTED, GRID, BAND = "#1c2733", "#66727e", "#e1e6eb", "#eef1f4"
STUDENT = "#1f6fb4"
UNRELIABLE = "#b9c1c9"


@dataclass(frozen=True)
class Line:
    """Where a row is drawn.

    Args:
        row ([`ReportRow`]): The row.
        y (`float`): The height of its center; a line is one unit high, heights grow downwards.
    """

    row: ReportRow
    y: float
