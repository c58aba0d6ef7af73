"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) on comparisons that the reward model labels.

The candidates of the prompts are the comparisons: the one with the higher reward is chosen. Nothing is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.policies._base import Optimisation


@dataclass(frozen=True)
class Dpo:
    """[`~trl.DPOTrainer`]."""

    config_source: ClassVar[tuple[str, str]] = ("trainer/dpo_config.py", "DPOConfig")
    resumes: ClassVar[bool] = True

    def build(self, given: Optimisation) -> Any:
        """Label the comparisons and build the trainer.

        Args:
            given ([`Optimisation`]): Policy, prompts and reward.
        """
        import datasets
        from trl import DPOConfig, DPOTrainer

        from w2s_rm.integrations.preferences import to_preferences

        labelled = to_preferences(given.prompts, given.reward.score_examples(given.prompts))
        rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in labelled.rows]
        return DPOTrainer(
            model=given.model,
            args=DPOConfig(**given.options),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=given.tokenizer,
            peft_config=given.peft_config,
            callbacks=list(given.callbacks),
        )
