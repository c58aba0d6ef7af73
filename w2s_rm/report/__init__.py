"""From the folders of finished runs to tables, a page and a plot."""

from w2s_rm.report.comparison import ComparisonRow, compare
from w2s_rm.report.features import FeatureRow, collect_features
from w2s_rm.report.policy import PolicyRow, collect_policies
from w2s_rm.report.rows import ReportRow, SeedResult
from w2s_rm.report.summary import summary_text
from w2s_rm.report.table import collect
from w2s_rm.report.write import write_report

__all__ = [
    "ComparisonRow",
    "FeatureRow",
    "PolicyRow",
    "ReportRow",
    "SeedResult",
    "collect",
    "collect_features",
    "collect_policies",
    "compare",
    "summary_text",
    "write_report",
]
