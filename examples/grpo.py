"""Group relative policy optimisation: sampled answers, rewarded by a reward model that was trained on weak labels.

accelerate launch --cpu --num_processes 1 examples/grpo.py

On your own models and data, on GPUs:

accelerate launch --config_file deepspeed_configs/zero2.yaml examples/grpo.py --model_name_or_path Qwen/Qwen3-0.6B \\
    --reward_model_path runs/stages/student-0123456789ab/model --dataset_name trl-lib/ultrafeedback_binarized
"""

from __future__ import annotations

from collections.abc import Sequence

from common import RewardArguments, load, parse
from trl import GRPOConfig, GRPOTrainer

from w2s_rm.programs.launched import run_main

WORLD = {
    "num_train_epochs": 1,
    "learning_rate": 3e-4,
    "beta": 0.02,
    "per_device_train_batch_size": 128,
    "num_generations": 4,
    "max_completion_length": 2,
}


def main(argv: Sequence[str]) -> None:
    """Optimise the policy and say what it was worth before and after."""
    arguments, training, model = parse(argv, RewardArguments, GRPOConfig, WORLD)
    start = load(arguments, model, arguments.reward_model_path)
    trainer = GRPOTrainer(
        model=start.policy,
        reward_funcs=start.reward,
        args=training,
        train_dataset=start.prompts(),
        processing_class=start.tokenizer,
        peft_config=start.peft_config,
    )
    before = start.measure(training.max_completion_length)
    trainer.train()
    trainer.save_model()
    start.report(before, start.measure(training.max_completion_length))


if __name__ == "__main__":
    run_main(main)
