"""From the trials of finished runs to a table: how many there were, which was chosen, and how the others did."""

from w2s_rm.report.tuning.rows import TrialRow, collect_trials

__all__ = ["TrialRow", "collect_trials"]
