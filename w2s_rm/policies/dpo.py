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

    def build(self, optimisation: Optimisation) -> Any:
        """Label the comparisons and build the trainer.

        Args:
            optimisation ([`Optimisation`]): Policy, prompts and reward.
        """
        import datasets
        from trl import DPOConfig, DPOTrainer

        from w2s_rm.integrations.preferences import to_preferences

        labelled = to_preferences(optimisation.prompts, optimisation.reward.score_examples(optimisation.prompts))
        # The rest, such as `margin`, is for whoever reads an exported file; DPO learns from the pair alone.
        rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in labelled.rows]
        # Without `ref_model` TRL compares with the model that it loads once more from the policy's path, or with the
        # policy without its adapter.
        return DPOTrainer(
            model=optimisation.model,
            args=DPOConfig(**optimisation.options),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=optimisation.tokenizer,
            peft_config=optimisation.peft_config,
            callbacks=list(optimisation.callbacks),
        )
