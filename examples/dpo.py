"""Direct preference optimisation on pairs labelled by a reward model that was itself trained on weak labels.

accelerate launch --cpu --num_processes 1 examples/dpo.py

On your own models and pairs, on GPUs (which of a pair the dataset prefers does not matter):

accelerate launch --config_file deepspeed_configs/zero2.yaml examples/dpo.py --model_name_or_path Qwen/Qwen3-0.6B \\
    --reward_model_path runs/stages/student-0123456789ab/model --dataset_name trl-lib/ultrafeedback_binarized
"""

from __future__ import annotations

from collections.abc import Sequence

from common import SamplingArguments, load, parse
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from w2s_rm.errors import DataError
from w2s_rm.integrations.preferences import to_preferences
from w2s_rm.programs.launched import run_main

WORLD = {
    "num_train_epochs": 1,
    "learning_rate": 3e-4,
    "beta": 0.1,
    "per_device_train_batch_size": 32,
    "max_completion_length": 2,
}


def main(argv: Sequence[str]) -> None:
    """Optimise the policy and say what it was worth before and after."""
    arguments, training, model = parse(argv, SamplingArguments, DPOConfig, WORLD)
    start = load(arguments, model, arguments.reward_model_path)
    if not all(example.candidates for example in start.train):
        raise DataError(f"{arguments.dataset_name}: DPO needs pairs; add columns chosen and rejected, or take rloo.py")
    labelled = to_preferences(start.train, start.reward.scorer.score_examples(start.train))
    trainer = DPOTrainer(
        model=start.policy,
        args=training,
        train_dataset=Dataset.from_list(labelled.rows).select_columns(["prompt", "chosen", "rejected"]),
        processing_class=start.tokenizer,
        peft_config=start.peft_config,
    )
    before = start.measure(arguments.max_completion_length)
    trainer.train()
    trainer.save_model()
    start.report(before, start.measure(arguments.max_completion_length))


if __name__ == "__main__":
    run_main(main)
