"""From a grid of finished runs to curves of accuracy and PGR over the sizes of supervisor and student."""

from w2s_rm.report.sizes.rows import CurveFacts, SizeRow
from w2s_rm.report.sizes.table import collect_sizes

__all__ = ["CurveFacts", "SizeRow", "collect_sizes"]
