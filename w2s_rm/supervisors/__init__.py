"""What gives the weak labels, one file each."""

from w2s_rm.supervisors._base import Supervision, Supervisor

__all__ = ["Supervision", "Supervisor"]
