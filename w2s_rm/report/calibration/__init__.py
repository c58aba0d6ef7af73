"""From what models and labels of finished runs say to a table and a figure: are they right as often as they say?"""

from w2s_rm.report.calibration.rows import CalibrationRow
from w2s_rm.report.calibration.table import collect_calibration

__all__ = ["CalibrationRow", "collect_calibration"]
