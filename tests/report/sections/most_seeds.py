"""A section of somebody's own: one file, below the tests, that no part of the package knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.render.elements import Block, Heading, Paragraph
from w2s_rm.report.sections import ReportedRun, Section


@dataclass(frozen=True)
class SeedsRow:
    """How many seeds a run has: `recipe` (`str`) and `seeds` (`int`)."""

    recipe: str
    seeds: int


class MostSeeds(Section[SeedsRow]):
    """Says which run has most seeds, where there are several."""

    place: ClassVar[int] = 85

    def rows(self, runs: Sequence[ReportedRun]) -> list[SeedsRow]:
        """Count the seeds."""
        return [SeedsRow(run.rows[0].recipe, len(run.rows[0].seeds)) for run in runs] if len(runs) > 1 else []

    def blocks(self, rows: Sequence[SeedsRow]) -> list[Block]:
        """Name the run."""
        return [Heading("Seeds", 2), Paragraph(f"Most seeds: {max(rows, key=lambda row: row.seeds).recipe}.")]

    def warnings(self, rows: Sequence[SeedsRow]) -> list[str]:
        """Warn of runs with one seed."""
        return [f"{row.recipe} has one seed" for row in rows if row.seeds == 1]
