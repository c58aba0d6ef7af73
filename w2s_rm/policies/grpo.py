"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.policies._base import Optimisation


@dataclass(frozen=True)
class Grpo:
    """[`~trl.GRPOTrainer`]."""

    config_source: ClassVar[tuple[str, str]] = ("trainer/grpo_config.py", "GRPOConfig")

    def build(self, given: Optimisation) -> Any:
        """Build the trainer.

        Args:
            given ([`Optimisation`]): Policy, prompts and reward.
        """
        from trl import GRPOConfig, GRPOTrainer

        return GRPOTrainer(
            model=given.model,
            reward_funcs=given.reward,
            args=GRPOConfig(**given.options, max_completion_length=given.max_completion_length),
            train_dataset=given.prompt_rows(),
            processing_class=given.tokenizer,
            peft_config=given.peft_config,
            callbacks=list(given.callbacks),
        )
