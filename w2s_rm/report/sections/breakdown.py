"""Accuracy more closely: by group, with ties, and where models are sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.breakdown.content import breakdown_blocks
from w2s_rm.report.breakdown.rows import SHARES, BreakdownRow
from w2s_rm.report.breakdown.table import collect_breakdown
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Breakdown(Section[BreakdownRow]):
    """A row for each model of each run with ground truth."""

    place: ClassVar[int] = 65

    def rows(self, runs: Sequence[ReportedRun]) -> list[BreakdownRow]:
        """Look at accuracy by group, with ties, and where models are sure."""
        return [row for run in runs for row in collect_breakdown(run.folder, run.models)]

    def blocks(self, rows: Sequence[BreakdownRow]) -> list[Block]:
        """Compose the section."""
        return breakdown_blocks(rows)

    def figure(self, rows: Sequence[BreakdownRow]) -> Images | None:
        """Draw accuracy over the share of the examples that a model answers."""
        from w2s_rm.report.breakdown.plot import plot_breakdown

        return plot_breakdown(rows)

    def flat_record(self, row: BreakdownRow) -> dict[str, Any]:
        """Return a row with a column for each share."""
        record = self.record(row)
        # Columns from `answered_10` to `answered_100`.
        answered = dict(
            zip((f"answered_{share:.0%}".rstrip("%") for share in SHARES), record.pop("answered"), strict=True)
        )
        return record | answered
