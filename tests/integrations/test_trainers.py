"""TRL's policy trainers take the reward function, and the saved folder itself, as they are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from w2s_rm.integrations.rewards import RewardFunction, reward_function

COMMON = {"max_steps": 1, "report_to": [], "use_cpu": True, "bf16": False, "logging_steps": 1, "save_strategy": "no"}
GROUPS = {"per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 4}


class Recorder:
    """Calls a reward function and keeps what it was called with."""

    def __init__(self, reward: RewardFunction) -> None:
        self.reward, self.calls = reward, []
        self.__name__ = reward.__name__

    def __call__(self, **given: Any) -> list[float]:
        self.calls.append(given)
        return self.reward(**given)


def prompts(conversational: bool) -> datasets.Dataset:
    texts = [f"w{n} w{n + 1}" for n in range(5, 13)]
    asked = [[{"role": "user", "content": text}] if conversational else text for text in texts]
    return datasets.Dataset.from_dict({"prompt": asked, "topic": texts})


def online_dpo() -> tuple[Any, Any]:
    module = importlib.import_module("trl.experimental.online_dpo")
    return module.OnlineDPOTrainer, module.OnlineDPOConfig


def make(way: str, folder: Path, policy: Path, rewards: Any, conversational: bool) -> Any:
    """Build a trainer of a policy."""
    tokenizer = AutoTokenizer.from_pretrained(policy)
    if way == "online_dpo":
        trainer_class, config_class = online_dpo()
        options: dict[str, Any] = {"max_new_tokens": 4, "per_device_train_batch_size": 4, "max_length": 64}
    else:
        trainer_class, config_class = {"grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig)}[way]
        options = dict(GROUPS)
    args = config_class(output_dir=str(folder), **COMMON, **options)
    model: Any = AutoModelForCausalLM.from_pretrained(policy)
    data = prompts(conversational)
    return trainer_class(model=model, args=args, reward_funcs=rewards, train_dataset=data, processing_class=tokenizer)


@pytest.mark.parametrize("conversational", [False, True])
@pytest.mark.parametrize("way", ["grpo", "rloo", "online_dpo"])
def test_a_policy_trains_on_the_reward_function(
    way: str, conversational: bool, reward_folder: Callable[..., Path], policy_folder: Path, tmp_path: Path
) -> None:
    reward = reward_function(str(reward_folder(conversational)))
    recorder = Recorder(reward)
    trainer = make(way, tmp_path / "out", policy_folder, recorder, conversational)
    trainer.train()
    (call,) = recorder.calls
    assert len(call["prompts"]) == len(call["completions"]) == reward.n_scored
    assert {"completion_ids", "trainer_state"} <= set(call)
    assert isinstance(call["completions"][0], list) is conversational
    assert trainer.state.global_step == 1
    if way != "online_dpo":
        logged = trainer.state.log_history[0]
        assert logged["rewards/reward/mean"] == pytest.approx(sum(reward(**call)) / len(call["prompts"]), abs=1e-5)
    # The policy's optimizer has nothing of the reward model, which stays as it was.
    assert not any(parameter.requires_grad for parameter in reward.scorer.loaded.model.parameters())


@pytest.mark.parametrize("way", ["grpo", "rloo", "online_dpo"])
def test_trl_takes_the_folder_itself_but_ends_no_text(
    way: str, reward_folder: Callable[..., Path], policy_folder: Path, by_hand: Callable[..., float], tmp_path: Path
) -> None:
    folder = reward_folder()
    trainer = make(way, tmp_path / "out", policy_folder, str(folder), False)
    asked, answers, ids = ["w5 w6", "w7"], [" w8", " w9 w10"], [[8], [9, 10]]
    if way == "online_dpo":
        found = trainer._calculate_rewards_from_functions(asked, answers, ids)
    else:
        found = trainer._calculate_rewards([{"prompt": text} for text in asked], asked, answers, ids)
    whole = [prompt + answer for prompt, answer in zip(asked, answers, strict=True)]
    bare = [by_hand(folder, text) for text in whole]
    assert found.flatten().tolist() == pytest.approx(bare, abs=1e-5)
    ended = [by_hand(folder, f"{text}<eos>") for text in whole]
    assert reward_function(str(folder))(asked, answers) == pytest.approx(ended, abs=1e-5)
    assert bare != pytest.approx(ended, abs=1e-3)


def test_trl_and_the_reward_function_agree_on_conversations(
    reward_folder: Callable[..., Path], policy_folder: Path, tmp_path: Path
) -> None:
    folder = str(reward_folder(True))
    trainer = make("grpo", tmp_path / "out", policy_folder, folder, True)
    asked = [[{"role": "user", "content": text}] for text in ("w5 w6", "w7")]
    answers = [[{"role": "assistant", "content": text}] for text in ("w8", "w9 w10")]
    found = trainer._calculate_rewards([{"prompt": prompt} for prompt in asked], asked, answers, [[8], [9, 10]])
    assert found.flatten().tolist() == pytest.approx(reward_function(folder)(asked, answers), abs=1e-5)


def test_ppo_takes_the_folder(
    reward_folder: Callable[..., Path], policy_folder: Path, by_hand: Callable[..., float], tmp_path: Path
) -> None:
    ppo = pytest.importorskip("trl.experimental.ppo", reason="PPO left TRL with 1.13")
    folder, tokenizer = reward_folder(), AutoTokenizer.from_pretrained(policy_folder, padding_side="left")
    rows = prompts(False).map(lambda row: {"input_ids": tokenizer(row["prompt"])["input_ids"]})
    reward, value = (AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1) for _ in range(2))
    policy, reference = (AutoModelForCausalLM.from_pretrained(policy_folder) for _ in range(2))
    args = ppo.PPOConfig(str(tmp_path / "out"), total_episodes=4, report_to=[], use_cpu=True, bf16=False)
    data = rows.select_columns("input_ids")
    trainer = ppo.PPOTrainer(args, tokenizer, policy, reference, reward, data, eval_dataset=data, value_model=value)
    # What its training loop calls on a prompt and a response that ended.
    module = importlib.import_module("trl.experimental.ppo.ppo_trainer")
    ids = tokenizer("w5 w6 w7<eos>", return_tensors="pt")["input_ids"]
    _, score, _ = module.get_reward(trainer.reward_model, ids, tokenizer.pad_token_id, 2)
    assert score.item() == pytest.approx(by_hand(folder, "w5 w6 w7<eos>"), abs=1e-5)
