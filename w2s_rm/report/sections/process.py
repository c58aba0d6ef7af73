"""Solutions in steps: mistakes found, right solutions chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.process.content import process_blocks
from w2s_rm.report.process.rows import ProcessRow
from w2s_rm.report.process.table import collect_process
from w2s_rm.report.sections._base import ReportedRun, Section


class Process(Section[ProcessRow]):
    """A row for each measure and method of each run whose task has steps."""

    place: ClassVar[int] = 30

    def rows(self, runs: Sequence[ReportedRun]) -> list[ProcessRow]:
        """Compute the rows about processes."""
        return [row for run in runs for row in collect_process(run.folder)]

    def blocks(self, rows: Sequence[ProcessRow]) -> list[Block]:
        """Compose the section."""
        return process_blocks(rows)
