"""Trials from which models were chosen on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.report.tuning.content import tuning_blocks, tuning_warnings
from w2s_rm.report.tuning.rows import TrialRow, collect_trials, trial_record, values_text


class Tuning(Section[TrialRow]):
    """A row for each trial of each model of each run that tunes."""

    place: ClassVar[int] = 70

    def rows(self, runs: Sequence[ReportedRun]) -> list[TrialRow]:
        """Read the trials."""
        return [row for run in runs for row in collect_trials(run.folder)]

    def blocks(self, rows: Sequence[TrialRow]) -> list[Block]:
        """Compose the section."""
        return tuning_blocks(rows)

    def warnings(self, rows: Sequence[TrialRow]) -> list[str]:
        """Say what a reader must know before believing the choices."""
        return tuning_warnings(rows)

    def record(self, row: TrialRow) -> dict[str, Any]:
        """Return a row as plain data."""
        return trial_record(row)

    def flat_record(self, row: TrialRow) -> dict[str, Any]:
        """Return a row with its values as one text."""
        return {**trial_record(row), "values": values_text(row.values)}
