"""From the test examples of a run to groups of them, and how its models do in each."""

from w2s_rm.report.subsets.rows import SubsetRow
from w2s_rm.report.subsets.table import collect_subsets

__all__ = ["SubsetRow", "collect_subsets"]
