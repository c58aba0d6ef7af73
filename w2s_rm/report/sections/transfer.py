"""Models on tasks that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.report.transfer.content import transfer_blocks, transfer_notes
from w2s_rm.report.transfer.rows import TransferRow
from w2s_rm.report.transfer.table import collect_transfer

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Transfer(Section[TransferRow]):
    """A row for each method of each run and each task that its models were scored on."""

    place: ClassVar[int] = 50

    def rows(self, runs: Sequence[ReportedRun]) -> list[TransferRow]:
        """Compute the rows about transfer."""
        return collect_transfer([run.folder for run in runs])

    def blocks(self, rows: Sequence[TransferRow]) -> list[Block]:
        """Compose the section."""
        return transfer_blocks(rows)

    def warnings(self, rows: Sequence[TransferRow]) -> list[str]:
        """Say which tests are no transfer."""
        return transfer_notes(rows)

    def figure(self, rows: Sequence[TransferRow]) -> Images | None:
        """Draw the matrix of train by test."""
        from w2s_rm.report.transfer.plot import plot_transfer

        return plot_transfer(rows)
