"""From judged steps of a run's test solutions to what its models say of the whole: mistakes found, solutions chosen."""

from w2s_rm.report.process.rows import ProcessRow
from w2s_rm.report.process.table import collect_process

__all__ = ["ProcessRow", "collect_process"]
