"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), with the saved reward model as TRL loads it.

The reward model reads the policy's tokens, so both need one vocabulary. A value model of its own starts from the reward
model. TRL has it up to 1.12.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.errors import ConfigError
from w2s_rm.policies._base import Optimisation

NO_PPO = (
    "this release of trl has no PPO, which left it after 1.12: run pip install 'trl==1.12.0', or take rloo or grpo, "
    "which need no value model"
)


@dataclass(frozen=True)
class Ppo:
    """[`~trl.experimental.ppo.PPOTrainer`]."""

    config_source: ClassVar[tuple[str, str]] = ("experimental/ppo/ppo_config.py", "PPOConfig")
    resumes: ClassVar[bool] = False

    def build(self, optimisation: Optimisation) -> Any:
        """Load reward and value model and build the trainer.

        Args:
            optimisation ([`Optimisation`]): Policy, prompts and reward.

        Raises:
            ConfigError: trl has no PPO, policy and reward model have different vocabularies, or the reward model reads
                more than a row's last token.
        """
        check_available()
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
        from trl.experimental.ppo import PPOConfig, PPOTrainer

        if AutoTokenizer.from_pretrained(optimisation.reward_model).get_vocab() != optimisation.tokenizer.get_vocab():
            raise ConfigError(
                f"ppo: the reward model {optimisation.reward_model} reads the policy's tokens, but has another "
                "vocabulary; take rloo or grpo, which hand over text"
            )
        if hasattr(AutoConfig.from_pretrained(optimisation.reward_model), "pooling"):
            # TRL asks the model below for its states, and would read the last one all the same.
            raise ConfigError(
                f"ppo: the reward model {optimisation.reward_model} is no plain sequence classifier; take rloo or "
                "grpo, or train on features with pooling last"
            )
        load = AutoModelForSequenceClassification.from_pretrained
        # What is written goes on at the end of a row.
        optimisation.tokenizer.padding_side = "left"
        rows = _prompt_ids(optimisation)
        return PPOTrainer(
            args=PPOConfig(
                # TRL would print tables of samples; the stage judges its own.
                **{"num_sample_generations": 0, **optimisation.options},
                response_length=optimisation.max_completion_length,
                stop_token="eos",
            ),
            processing_class=optimisation.tokenizer,
            model=optimisation.model,
            # TRL then copies the policy, or takes it without its adapter.
            ref_model=None,
            reward_model=load(optimisation.reward_model, use_safetensors=True),
            # Loaded a second time: this one is trained, and rewards must not move with it.
            value_model=load(optimisation.reward_model, use_safetensors=True),
            train_dataset=rows,
            # TRL makes a loader of it in any case, and reads it for tables of samples alone.
            eval_dataset=rows,
            peft_config=optimisation.peft_config,
            callbacks=list(optimisation.callbacks),
        )


def check_available() -> None:
    """Refuse a release of trl without PPO.

    Raises:
        ConfigError: It has none; the message names the pin that brings it and what to use instead.
    """
    if importlib.util.find_spec("trl.experimental.ppo") is None:
        raise ConfigError(NO_PPO)


def _prompt_ids(optimisation: Optimisation) -> Any:
    import datasets

    # This trainer of TRL's, unlike the others, tokenises nothing itself.
    prompts = [example.prompt for example in optimisation.prompts]
    if isinstance(prompts[0], str):
        ids = optimisation.tokenizer(prompts)["input_ids"]
    else:
        ids = [
            optimisation.tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, return_dict=True)[
                "input_ids"
            ]
            for prompt in prompts
        ]
    return datasets.Dataset.from_dict({"input_ids": ids})
