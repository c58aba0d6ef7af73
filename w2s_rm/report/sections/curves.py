"""What trainings scored on their way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.curves.content import curve_blocks
from w2s_rm.report.curves.rows import CurveRow
from w2s_rm.report.curves.table import collect_curves
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Curves(Section[CurveRow]):
    """A row for each role, method and evaluation of each run whose trainings were evaluated on their way."""

    place: ClassVar[int] = 20

    def rows(self, runs: Sequence[ReportedRun]) -> list[CurveRow]:
        """Compute the rows about trainings."""
        return [row for run in runs for row in collect_curves(run.folder, run.rows)]

    def blocks(self, rows: Sequence[CurveRow]) -> list[Block]:
        """Compose the section."""
        return curve_blocks(rows)

    def figure(self, rows: Sequence[CurveRow]) -> Images | None:
        """Draw accuracy and agreement over training."""
        from w2s_rm.report.curves.plot import plot_curves

        return plot_curves(rows)
