"""REINFORCE with the other completions of a prompt as baseline (Ahmadian et al. 2024, arXiv 2402.14740)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.policies._base import Optimisation, build_sampling


@dataclass(frozen=True)
class Rloo:
    """[`~trl.RLOOTrainer`]."""

    config_source: ClassVar[tuple[str, str]] = ("trainer/rloo_config.py", "RLOOConfig")
    resumes: ClassVar[bool] = True

    def build(self, optimisation: Optimisation) -> Any:
        """Build the trainer.

        Args:
            optimisation ([`Optimisation`]): Policy, prompts and reward.
        """
        from trl import RLOOConfig, RLOOTrainer

        return build_sampling(RLOOTrainer, RLOOConfig, optimisation)
