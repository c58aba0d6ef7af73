"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.policies._base import Optimisation, build_sampling


@dataclass(frozen=True)
class Grpo:
    """[`~trl.GRPOTrainer`]."""

    config_source: ClassVar[tuple[str, str]] = ("trainer/grpo_config.py", "GRPOConfig")
    resumes: ClassVar[bool] = True

    def build(self, optimisation: Optimisation) -> Any:
        """Build the trainer.

        Args:
            optimisation ([`Optimisation`]): Policy, prompts and reward.
        """
        from trl import GRPOConfig, GRPOTrainer

        return build_sampling(GRPOTrainer, GRPOConfig, optimisation)
