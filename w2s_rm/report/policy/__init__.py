"""From the policies of finished runs to tables and a figure: whether the gap recovered reaches the policy."""

from w2s_rm.report.policy.rows import PolicyRow, policy_record
from w2s_rm.report.policy.table import collect_policies

__all__ = ["PolicyRow", "collect_policies", "policy_record"]
