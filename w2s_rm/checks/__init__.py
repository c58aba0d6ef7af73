"""What a dataset gives away before any model reads it: leaks between splits, shortcuts, unbalanced classes."""

from w2s_rm.checks.examples import check_examples
from w2s_rm.checks.result import CheckResult, Thresholds

__all__ = ["CheckResult", "Thresholds", "check_examples"]
