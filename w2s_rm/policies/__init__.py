"""One file for each way to optimise a policy against a reward model: which trainer of TRL, and what it is given."""

from w2s_rm.policies._base import RESERVED, Optimisation, PolicyTrainer

__all__ = ["RESERVED", "Optimisation", "PolicyTrainer"]
