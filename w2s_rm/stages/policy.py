"""Optimise a policy against a reward model, and judge by the truth what it writes before, meanwhile and after.

accelerate launch --config_file deepspeed_configs/ddp.yaml -m w2s_rm.stages.policy --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Model, Stage
from w2s_rm.training.trainer_options import computing


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy(Stage):
    """An optimised policy. It makes `model/`, `curve.jsonl` and `policy.parquet`.

    Args:
        task (`Mapping`): `name` and options of the task, which judges what a policy writes.
        prompts ([`Examples`]): What it is optimised on.
        examples ([`Examples`]): What it is judged on.
        model_name_or_path ([`Model`]): The policy to start from.
        model (`Mapping`): Fields of TRL's `ModelConfig`.
        reward_model ([`Model`]): What it is optimised against.
        trainer (`str`): Name of a file in `w2s_rm/policies`.
        train (`Mapping`): Fields of that trainer's configuration.
        seed (`int`): Of training and sampling.
        max_completion_length (`int`): Most tokens of a completion.
        samples (`int`): Completions of each test prompt that are judged.
        evaluations (`int`): How often during training they are.
    """

    version: ClassVar[int] = 2
    on_all_processes: ClassVar[bool] = True
    judges: ClassVar[bool] = True

    task: Mapping[str, Any]
    prompts: Examples
    examples: Examples
    model_name_or_path: Model
    model: Mapping[str, Any]
    reward_model: Model
    trainer: str
    train: Mapping[str, Any]
    seed: int
    max_completion_length: int
    samples: int
    evaluations: int

    @property
    def trusts_code(self) -> bool:
        """Whether code that comes with the policy may run: for TRL an option of training."""
        return bool(self.train.get("trust_remote_code", False))

    def content(self) -> dict[str, Any]:
        """What the result depends on. The task is that of the examples; what is sampled depends on the batches, too."""
        content = {name: value for name, value in super().content().items() if name != "task"}
        batches = ("per_device_train_batch_size", "gradient_accumulation_steps")
        # A step has the examples of all processes.
        processes = {} if self.launch.processes == 1 else {"processes": self.launch.processes}
        return {**content, "train": computing(self.train, keep=batches), **processes}

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.policy import policy

        policy(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Policy.run)
