"""Proximal policy optimisation: sampled answers, rewarded by a reward model that was trained on weak labels.

accelerate launch --cpu --num_processes 1 examples/ppo.py

Needs trl 1.12, the last release with PPO. On your own models and data, on GPUs (the reward model must read the policy's
tokens, so both come from one family):

accelerate launch --config_file deepspeed_configs/zero2.yaml examples/ppo.py --model_name_or_path Qwen/Qwen3-0.6B \\
    --reward_model_path runs/stages/student-0123456789ab/model --dataset_name trl-lib/ultrafeedback_binarized
"""

from __future__ import annotations

from collections.abc import Sequence

from common import ExampleArguments, load, parse
from transformers import AutoModelForSequenceClassification

from w2s_rm.errors import ConfigError
from w2s_rm.policies.ppo import check_available
from w2s_rm.programs.launched import run_main

WORLD = {
    "num_train_epochs": 1,
    "learning_rate": 3e-4,
    "kl_coef": 0.02,
    "per_device_train_batch_size": 64,
    "response_length": 2,
    "temperature": 1.0,
    "num_sample_generations": 0,
    "stop_token": "eos",
}


def main(argv: Sequence[str]) -> None:
    """Optimise the policy and say what it was worth before and after."""
    try:
        check_available()
    except ConfigError as error:
        raise ConfigError(f"{error}: examples/rloo.py replaces this example") from error
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    arguments, training, model = parse(argv, ExampleArguments, PPOConfig, WORLD)
    start = load(arguments, model, training.reward_model_path)
    if start.reward.scorer.loaded.tokenizer.get_vocab() != start.tokenizer.get_vocab():
        raise ConfigError("PPO's reward model reads the policy's tokens, but has another vocabulary; take rloo.py")
    rows = start.prompts().map(lambda row: {"input_ids": token_ids(start.tokenizer, row["prompt"])})
    reward_model, value_model = (
        AutoModelForSequenceClassification.from_pretrained(start.reward_model, num_labels=1) for _ in range(2)
    )
    trainer = PPOTrainer(
        args=training,
        processing_class=start.tokenizer,
        model=start.policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=rows.select_columns(["input_ids"]),
        eval_dataset=rows.select_columns(["input_ids"]),
        peft_config=start.peft_config,
    )
    before = start.measure(training.response_length)
    trainer.train()
    trainer.save_model()
    start.report(before, start.measure(training.response_length))


def token_ids(tokenizer, prompt) -> list[int]:
    """Tokenise a prompt, which may be a conversation."""
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]


if __name__ == "__main__":
    run_main(main)
