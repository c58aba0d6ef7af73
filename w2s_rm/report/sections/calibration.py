"""Whether models and labels are right as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.calibration.content import calibration_blocks
from w2s_rm.report.calibration.rows import NESTED, CalibrationRow
from w2s_rm.report.calibration.table import collect_calibration
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Calibration(Section[CalibrationRow]):
    """A row for the labels and for each model of each run with ground truth."""

    place: ClassVar[int] = 60

    def rows(self, runs: Sequence[ReportedRun]) -> list[CalibrationRow]:
        """Measure calibration, before and after a temperature."""
        return [row for run in runs for row in collect_calibration(run.folder, run.models)]

    def blocks(self, rows: Sequence[CalibrationRow]) -> list[Block]:
        """Compose the section."""
        return calibration_blocks(rows)

    def figure(self, rows: Sequence[CalibrationRow]) -> Images | None:
        """Draw accuracy over confidence, a panel for each row."""
        from w2s_rm.report.calibration.plot import plot_calibration

        return plot_calibration(rows)

    def flat_record(self, row: CalibrationRow) -> dict[str, Any]:
        """Return a row without its bins."""
        record = self.record(row)
        return {name: value for name, value in record.items() if name not in NESTED} | {
            "transforms": " ".join(row.transforms)
        }
