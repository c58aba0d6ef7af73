"""How well students can tell their supervisors' mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.saliency.content import saliency_blocks
from w2s_rm.report.saliency.rows import SaliencyRow
from w2s_rm.report.saliency.table import collect_saliency
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Saliency(Section[SaliencyRow]):
    """A row for each method of each run that looked for its supervisor's mistakes."""

    place: ClassVar[int] = 13

    def rows(self, runs: Sequence[ReportedRun]) -> list[SaliencyRow]:
        """Measure what students can tell."""
        return [row for run in runs for row in collect_saliency(run.folder, run.rows)]

    def blocks(self, rows: Sequence[SaliencyRow]) -> list[Block]:
        """Compose the section."""
        return saliency_blocks(rows)

    def figure(self, rows: Sequence[SaliencyRow]) -> Images | None:
        """Draw saliency over size, and PGR over saliency."""
        from w2s_rm.report.saliency.plot import plot_saliency

        return plot_saliency(rows)
