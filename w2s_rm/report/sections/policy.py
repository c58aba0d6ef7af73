"""Policies that were optimised against the reward models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.policy.content import policy_blocks, policy_findings
from w2s_rm.report.policy.notes import policy_notes
from w2s_rm.report.policy.rows import PolicyRow, flat_record
from w2s_rm.report.policy.table import collect_policies
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Policy(Section[PolicyRow]):
    """A row for each method and trainer of each run that has policies."""

    place: ClassVar[int] = 80

    def rows(self, runs: Sequence[ReportedRun]) -> list[PolicyRow]:
        """Compute the rows about policies."""
        return [row for run in runs for row in collect_policies(run.folder, run.rows)]

    def blocks(self, rows: Sequence[PolicyRow]) -> list[Block]:
        """Compose the section."""
        return policy_blocks(rows)

    def findings(self, rows: Sequence[PolicyRow]) -> list[Block]:
        """Say what came out, in a sentence for each trainer of each run."""
        return policy_findings(rows)

    def warnings(self, rows: Sequence[PolicyRow]) -> list[str]:
        """Say what a reader must know before believing the rows."""
        return policy_notes(rows)

    def figure(self, rows: Sequence[PolicyRow]) -> Images | None:
        """Draw success and reward over the distance from the start."""
        from w2s_rm.report.policy.plot import plot_policies

        return plot_policies(rows)

    def flat_record(self, row: PolicyRow) -> dict[str, Any]:
        """Return a row without its nested parts."""
        return flat_record(row)
