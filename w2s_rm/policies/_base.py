"""What the ways to optimise a policy have in common. No torch at import: a recipe is checked against these classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from w2s_rm.types import Example

# What the toolkit sets itself, with where the user says it instead.
RESERVED = {
    "output_dir": "the run's folder",
    "seed": "seeds",
    "run_name": "name",
    "deepspeed": "accelerate_config",
    "resume_from_checkpoint": "nothing: an interrupted run resumes by itself",
    "max_completion_length": "policy.max_completion_length",
    "response_length": "policy.max_completion_length",
    "reward_model_path": "nothing: each reward model of the run in turn",
    "sft_model_path": "policy.model_name_or_path",
    "hub_token": "your login to the hub: `hf auth login`, or HF_TOKEN in the environment",
}


@dataclass(frozen=True)
class Optimisation:
    """What a trainer is built from.

    Args:
        model (`PreTrainedModel`): The starting policy.
        tokenizer (`PreTrainedTokenizerBase`): The policy's.
        options (`dict[str, Any]`): Fields of the trainer's configuration.
        max_completion_length (`int`): Most tokens of a completion.
        prompts (`Sequence[Example]`): Examples whose prompts the policy answers.
        reward (`Callable`): Rewards of prompts and completions, as TRL calls it; its `score_examples` gives those of
            all candidates of examples.
        reward_model (`str`): Folder of the reward model.
        peft_config (`PeftConfig`, *optional*): Train an adapter.
        callbacks (`Sequence[TrainerCallback]`): For the trainer.
    """

    model: Any
    tokenizer: Any
    options: dict[str, Any]
    max_completion_length: int
    prompts: Sequence[Example]
    reward: Any
    reward_model: str
    peft_config: Any = None
    callbacks: Sequence[Any] = ()

    def prompt_rows(self) -> Any:
        """Return a dataset of the prompts alone."""
        import datasets

        return datasets.Dataset.from_list([{"prompt": example.prompt} for example in self.prompts])


def build_sampling(trainer: Any, config: Any, optimisation: Optimisation) -> Any:
    """Build one of TRL's trainers that sample completions and ask a function for their rewards.

    Args:
        trainer (`type`): The trainer.
        config (`type`): Its configuration.
        optimisation ([`Optimisation`]): Policy, prompts and reward.
    """
    return trainer(
        model=optimisation.model,
        reward_funcs=optimisation.reward,
        args=config(**optimisation.options, max_completion_length=optimisation.max_completion_length),
        train_dataset=optimisation.prompt_rows(),
        processing_class=optimisation.tokenizer,
        peft_config=optimisation.peft_config,
        callbacks=list(optimisation.callbacks),
    )


class PolicyTrainer(Protocol):
    """A way to optimise a policy: a frozen dataclass in `policies/<name>.py`."""

    config_source: ClassVar[tuple[str, str]]
    """File within trl and the class in it whose fields are the options of `train`."""
    resumes: ClassVar[bool]
    """Whether the trainer goes on from a checkpoint; where not, an interrupted stage starts anew."""

    def build(self, optimisation: Optimisation) -> Any:
        """Build TRL's trainer, ready for `train()`."""
        ...
