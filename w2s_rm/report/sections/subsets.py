"""Models on subsets of the test examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.report.subsets.content import subset_blocks
from w2s_rm.report.subsets.rows import SubsetRow
from w2s_rm.report.subsets.table import collect_subsets

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Subsets(Section[SubsetRow]):
    """A row for each grouping of the test examples, each method and each group of a run."""

    place: ClassVar[int] = 55

    def rows(self, runs: Sequence[ReportedRun]) -> list[SubsetRow]:
        """Compute the rows about subsets."""
        return [row for run in runs for row in collect_subsets(run.folder)]

    def blocks(self, rows: Sequence[SubsetRow]) -> list[Block]:
        """Compose the section."""
        return subset_blocks(rows)

    def figure(self, rows: Sequence[SubsetRow]) -> Images | None:
        """Draw accuracies by group."""
        from w2s_rm.report.subsets.plot import plot_subsets

        return plot_subsets(rows)
