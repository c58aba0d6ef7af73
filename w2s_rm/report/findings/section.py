"""The section about findings, which only a suite that states some has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.findings.asked import Asked
from w2s_rm.report.findings.content import counted, finding_blocks
from w2s_rm.report.findings.doubts import doubts
from w2s_rm.report.findings.rows import FindingRow
from w2s_rm.report.findings.table import find_out
from w2s_rm.report.sections import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


@dataclass(frozen=True)
class Findings(Section[FindingRow]):
    """A row for each finding.

    Args:
        asked ([`~w2s_rm.report.findings.asked.Asked`]): What is asked of the runs.
    """

    asked: Asked

    # It is no file of `sections/`, which would give it a name: only the report of a suite has it.
    name: ClassVar[str] = "findings"
    place: ClassVar[int] = 0

    def rows(self, runs: Sequence[ReportedRun]) -> list[FindingRow]:
        """Test the findings."""
        return find_out(self.asked, [run.folder for run in runs])

    def blocks(self, rows: Sequence[FindingRow]) -> list[Block]:
        """Compose the section."""
        return finding_blocks(rows)

    def findings(self, rows: Sequence[FindingRow]) -> list[Block]:
        """Count the verdicts."""
        return [counted(rows)]

    def warnings(self, rows: Sequence[FindingRow]) -> list[str]:
        """Warn of verdicts that rest on few seeds, or on one pretrained model."""
        return doubts(min(row.n_seeds for row in rows), any(row.shares_models for row in rows))

    def figure(self, rows: Sequence[FindingRow]) -> Images:
        """Draw a panel for each finding."""
        from w2s_rm.report.findings.plot import plot_findings

        return plot_findings(rows)

    def flat_record(self, row: FindingRow) -> dict[str, Any]:
        """Return a row without its panel."""
        return {name: value for name, value in self.record(row).items() if name != "panel"}
