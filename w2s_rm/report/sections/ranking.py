"""How methods rank over runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.comparison.ranking import RankRow, rank_blocks, rank_methods
from w2s_rm.report.sections._base import ReportedRun, Section


class Ranking(Section[RankRow]):
    """A row for each method that all runs of a setting have, where there are several."""

    place: ClassVar[int] = 11

    def rows(self, runs: Sequence[ReportedRun]) -> list[RankRow]:
        """Rank the methods by the accuracy of their students."""
        return rank_methods([run.folder for run in runs])

    def blocks(self, rows: Sequence[RankRow]) -> list[Block]:
        """Compose the section."""
        return rank_blocks(rows)
