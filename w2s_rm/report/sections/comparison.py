"""Methods beside the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.comparison.content import comparison_blocks, has_figure
from w2s_rm.report.comparison.rows import ComparisonRow
from w2s_rm.report.comparison.table import compare
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Comparison(Section[ComparisonRow]):
    """A row for each method of each run that has the baseline too."""

    place: ClassVar[int] = 10

    def rows(self, runs: Sequence[ReportedRun]) -> list[ComparisonRow]:
        """Compare the students of all methods with those of the baseline."""
        return compare([run.folder for run in runs])

    def blocks(self, rows: Sequence[ComparisonRow]) -> list[Block]:
        """Compose the section."""
        return comparison_blocks(rows)

    def figure(self, rows: Sequence[ComparisonRow]) -> Images | None:
        """Draw what each method gains, where there is enough to draw."""
        from w2s_rm.report.comparison.plot import plot_comparison

        return plot_comparison(rows) if has_figure(rows) else None
