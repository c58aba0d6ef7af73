"""Layers and penalties from which linear models on features were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.render.elements import Block
from w2s_rm.report.features.content import feature_blocks
from w2s_rm.report.features.rows import FeatureRow
from w2s_rm.report.features.table import collect_features
from w2s_rm.report.sections._base import ReportedRun, Section

if TYPE_CHECKING:
    from w2s_rm.report.drawing import Images


class Features(Section[FeatureRow]):
    """A row for each method, layer and penalty of each run that chose among several."""

    place: ClassVar[int] = 90

    def rows(self, runs: Sequence[ReportedRun]) -> list[FeatureRow]:
        """Compute the rows about features."""
        return [row for run in runs for row in collect_features(run.folder, run.rows)]

    def blocks(self, rows: Sequence[FeatureRow]) -> list[Block]:
        """Compose the section."""
        return feature_blocks(rows)

    def figure(self, rows: Sequence[FeatureRow]) -> Images | None:
        """Draw accuracy and PGR over the penalty, layer by layer."""
        from w2s_rm.report.features.plot import plot_features

        return plot_features(rows)
