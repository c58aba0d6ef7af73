"""From the students of finished runs to a table and a figure: which methods help, in how many tasks."""

from w2s_rm.report.comparison.rows import ComparisonRow
from w2s_rm.report.comparison.table import compare

__all__ = ["ComparisonRow", "compare"]
