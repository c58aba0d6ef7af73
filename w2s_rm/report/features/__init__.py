"""From the linear models of finished runs to a table and a figure: PGR against regularisation, layer by layer."""

from w2s_rm.report.features.rows import FeatureRow
from w2s_rm.report.features.table import collect_features

__all__ = ["FeatureRow", "collect_features"]
