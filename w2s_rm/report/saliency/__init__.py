"""From where supervisors are wrong to a table and a figure: how well a student can tell, and what it recovers."""

from w2s_rm.report.saliency.rows import SaliencyRow
from w2s_rm.report.saliency.table import collect_saliency

__all__ = ["SaliencyRow", "collect_saliency"]
