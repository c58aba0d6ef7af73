"""From what models of finished runs say to a table and a figure: accuracy by group, with ties, and where it is sure."""

from w2s_rm.report.breakdown.rows import BreakdownRow
from w2s_rm.report.breakdown.table import collect_breakdown

__all__ = ["BreakdownRow", "collect_breakdown"]
