"""From what trainings scored on their way to a table and a figure: when a student peaked, and where one would stop."""

from w2s_rm.report.curves.read import Curve, curve_of
from w2s_rm.report.curves.rows import CurveRow
from w2s_rm.report.curves.table import collect_curves

__all__ = ["Curve", "CurveRow", "collect_curves", "curve_of"]
