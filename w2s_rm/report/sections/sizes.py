"""Accuracy and PGR over the sizes of supervisor and student, in a grid of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.report.sizes.content import size_blocks
from w2s_rm.report.sizes.rows import CurveFacts, SizeRow
from w2s_rm.report.sizes.table import collect_sizes

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Sizes(Section[SizeRow]):
    """A row for each pair of sizes of each grid, and for each supervisor one beyond."""

    place: ClassVar[int] = 12

    def rows(self, runs: Sequence[ReportedRun]) -> list[SizeRow]:
        """Fit the curves."""
        return collect_sizes([(run.folder, run.rows) for run in runs])

    def blocks(self, rows: Sequence[SizeRow]) -> list[Block]:
        """Compose the section."""
        return size_blocks(rows)

    def figure(self, rows: Sequence[SizeRow]) -> Images | None:
        """Draw accuracy and PGR over the student's size."""
        from w2s_rm.report.sizes.plot import plot_sizes

        return plot_sizes(rows)

    def flat_record(self, row: SizeRow) -> dict[str, Any]:
        """Return a row, the curves' facts as columns of their own."""
        record = self.record(row)
        # Where there is no line of PGR its columns stay, empty.
        facts = {curve: record.pop(curve) or {} for curve in ("accuracy_curve", "pgr_curve")}
        parts = [option.name for option in fields(CurveFacts)]
        return {**record, **{f"{curve}_{part}": known.get(part) for curve, known in facts.items() for part in parts}}
