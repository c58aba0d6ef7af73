"""From evaluations on further tasks to a matrix of train by test."""

from w2s_rm.report.transfer.rows import TransferRow
from w2s_rm.report.transfer.table import collect_transfer

__all__ = ["TransferRow", "collect_transfer"]
