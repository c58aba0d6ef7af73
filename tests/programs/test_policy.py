"""The policy stage with every way to optimise: what it writes, what it judges, how it goes on, what it refuses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pyarrow import parquet
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm import catalog
from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.errors import ConfigError, NonFiniteError
from w2s_rm.heads.pooled import PooledConfig, PooledForSequenceClassification
from w2s_rm.programs import policy_parts
from w2s_rm.programs.policy import policy
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.tasks.world_preference import WorldPreference
from w2s_rm.training.language_model import pretrain
from w2s_rm.training.pretraining import Pretraining

TASK = {"name": "world_preference", "n_entities": 6, "n_attributes": 1}
CORPUS = {"name": "answers", "n_entities": 6, "n_attributes": 1}
OPTIONS: dict[str, dict[str, Any]] = {
    "dpo": {"per_device_train_batch_size": 4, "max_steps": 4},
    "rloo": {"per_device_train_batch_size": 8, "num_generations": 4, "max_steps": 4},
    "grpo": {"per_device_train_batch_size": 8, "num_generations": 4, "max_steps": 4},
    "ppo": {"per_device_train_batch_size": 8, "num_mini_batches": 1, "total_episodes": 32, "num_ppo_epochs": 1},
}
TRAIN = {"learning_rate": 1e-3, "bf16": False, "gradient_checkpointing": False, "report_to": "none"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A policy that writes one of the world's words, and a reward model on the same vocabulary."""
    folder = tmp_path_factory.mktemp("world")
    pretrain(Pretraining(corpus=CORPUS, hidden_size=16, num_attention_heads=2, steps=30), folder / "policy")
    torch.manual_seed(0)
    reward = AutoModelForSequenceClassification.from_pretrained(folder / "policy", num_labels=1)
    reward.score.weight.data.normal_()
    reward.save_pretrained(folder / "reward")
    AutoTokenizer.from_pretrained(folder / "policy").save_pretrained(folder / "reward")
    return {"policy": str(folder / "policy"), "reward": str(folder / "reward")}


@pytest.fixture
def stage(tmp_path: Path, models: dict[str, str]) -> Callable[..., Path]:
    """Run the stage with a trainer and return its folder."""
    task = WorldPreference(n_entities=6, n_attributes=1)
    examples = [task.to_example(row) for row in task.rows()]
    write_examples(tmp_path / "prompts.parquet", examples[:32])
    write_examples(tmp_path / "test.parquet", examples[32:52])

    def run(trainer: str, name: str = "out", train: dict[str, Any] | None = None, **changes: Any) -> Path:
        config = {
            "stage": "policy",
            "task": TASK,
            "prompts": str(tmp_path / "prompts.parquet"),
            "examples": str(tmp_path / "test.parquet"),
            "model_name_or_path": models["policy"],
            "model": {},
            "reward_model": models["reward"],
            "trainer": trainer,
            "train": {**TRAIN, **OPTIONS[trainer], **(train or {})},
            "seed": 0,
            "max_completion_length": 2,
            "samples": 3,
            "evaluations": 2,
            "inputs": {"policy": "abc"},
            "stage_hash": "123",
            **changes,
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        policy(["--config", str(tmp_path / f"{name}.yaml"), "--output_dir", str(tmp_path / name)])
        return tmp_path / name

    return run


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def counts(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "manifest.json").read_text())["counts"]
    return found


@pytest.fixture(params=catalog.names("policies"))
def trainer(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name == "ppo" and importlib.util.find_spec("trl.experimental.ppo") is None:
        pytest.skip("this trl has no PPO")
    return name


def test_every_trainer_leaves_a_policy_and_what_it_is_worth(
    trainer: str, stage: Callable[..., Path], models: dict[str, str]
) -> None:
    folder = stage(trainer)
    lines, judged = curve(folder), parquet.read_table(folder / "policy.parquet").to_pydict()
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert lines[0]["kl"] == 0.0 and lines[-1]["kl"] != 0.0
    examples = read_examples(folder.parent / "test.parquet")
    assert judged["id"] == [example.id for example in examples]
    found = counts(folder)
    for name, key in (("success", "success_after"), ("kl", "kl"), ("reward", "reward")):
        mean = sum(judged[name]) / len(judged[name])
        assert found[key] == pytest.approx(mean) and lines[-1][name] == pytest.approx(mean)
    assert found["steps"] == 4 and found["success_before"] == lines[0]["success"]
    assert all(0 <= share <= 1 and round(3 * share, 6) == round(3 * share) for share in judged["success"])
    assert not list(folder.glob("trainer/checkpoint-*")) and not list(folder.rglob("training_args.bin"))


CODE = """
import pathlib
from transformers import LlamaForCausalLM
(pathlib.Path({marker!r})).touch()
class Custom(LlamaForCausalLM):
    pass
"""


def test_code_that_comes_with_a_policy_runs_only_when_asked(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    marker, folder = tmp_path / "ran", tmp_path / "custom_policy"
    AutoModelForCausalLM.from_pretrained(models["policy"]).save_pretrained(folder)
    AutoTokenizer.from_pretrained(models["policy"]).save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "auto_map": {"AutoModelForCausalLM": "code.Custom"}}))
    (folder / "code.py").write_text(CODE.format(marker=str(marker)))
    asked = {"model_name_or_path": str(folder), "model": {}}
    assert type(policy_parts.load_policy(asked)[0]).__name__ == "LlamaForCausalLM" and not marker.exists()
    trusted = {**asked, "train": {"trust_remote_code": True}}
    assert type(policy_parts.load_policy(trusted)[0]).__name__ == "Custom" and marker.exists()


def test_the_saved_policy_is_the_one_that_was_judged(stage: Callable[..., Path], models: dict[str, str]) -> None:
    folder = stage("rloo")
    # A generator draws otherwise on a GPU, and there is where a policy is judged if the machine has one.
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    saved, start = (
        AutoModelForCausalLM.from_pretrained(place).to(device) for place in (folder / "model", models["policy"])
    )
    config = yaml.safe_load((folder.parent / "out.yaml").read_text())
    judge = policy_parts.Judge(config, start, tokenizer, lambda prompts, completions: [0.0] * len(prompts))  # type: ignore[arg-type]
    again = judge.judge(saved)
    judged = parquet.read_table(folder / "policy.parquet").to_pydict()
    assert again.success == judged["success"]
    assert again.kl == pytest.approx(judged["kl"], abs=1e-5)


def test_success_is_the_share_of_right_answers(
    stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, models: dict[str, str]
) -> None:
    """Counted here from what the policy wrote, by the world's ranks."""
    written: list[tuple[str, str]] = []
    judge = WorldPreference.judge

    def spy(self: Any, example: Any, completion: str) -> bool:
        written.append((example.prompt, completion))
        return judge(self, example, completion)

    monkeypatch.setattr(WorldPreference, "judge", spy)
    folder = stage("dpo")
    ranks_E = WorldPreference(n_entities=6, n_attributes=1).world.ranks_AE[0]
    right = 0
    for prompt, completion in written[-60:]:
        words = prompt.split()
        first, second = int(words[4][1:]), int(words[6][1:])
        best = (min if words[2].startswith("down") else max)((first, second), key=lambda entity: ranks_E[entity])
        right += completion.strip() == f"E{best}"
    assert counts(folder)["success_after"] == pytest.approx(right / 60)


@pytest.mark.parametrize("trainer", ["dpo", "rloo", "ppo"], indirect=True)
def test_an_interrupted_stage_ends_where_the_other_does(
    trainer: str, stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stage(trainer, "whole", {"save_steps": 1})
    judge, calls = policy_parts.Judge.judge, []

    def stop(self: Any, model: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judge(self, model)

    monkeypatch.setattr(policy_parts.Judge, "judge", stop)
    with pytest.raises(KeyboardInterrupt):
        stage(trainer, "cut", {"save_steps": 1})
    again: list[int] = []
    monkeypatch.setattr(policy_parts.Judge, "judge", lambda self, model: (again.append(1), judge(self, model))[1])
    left = (whole.parent / "cut" / "trainer").glob("checkpoint-*")
    resumes = catalog.lookup("policies", trainer).resumes
    assert list(left) or not resumes, "something to go on from"
    cut = stage(trainer, "cut", {"save_steps": 1})
    # Only the end is new where the trainer goes on; start, middle and end where it starts anew.
    assert len(again) == (1 if resumes else 3)
    assert _close(curve(cut), curve(whole))


def _close(some: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    return all(one == pytest.approx(two, abs=1e-5) for one, two in zip(some, other, strict=True))


def test_an_adapter_is_merged(stage: Callable[..., Path], models: dict[str, str]) -> None:
    folder = stage("rloo", model={"use_peft": True, "lora_r": 2, "lora_target_modules": ["q_proj", "v_proj"]})
    assert (folder / "adapter" / "adapter_config.json").is_file()
    saved = AutoModelForCausalLM.from_pretrained(folder / "model").state_dict()
    start = AutoModelForCausalLM.from_pretrained(models["policy"]).state_dict()
    changed = {name.split(".")[-2] for name in saved if not torch.equal(saved[name], start[name])}
    assert changed == {"q_proj", "v_proj"}


def test_rewards_are_on_the_scale_of_the_starting_policy(stage: Callable[..., Path], models: dict[str, str]) -> None:
    """A reward model with all scores times ten is the same to the policy."""
    louder = AutoModelForSequenceClassification.from_pretrained(models["reward"])
    louder.score.weight.data *= 10
    louder.save_pretrained(Path(models["policy"]).parent / "louder")
    AutoTokenizer.from_pretrained(models["reward"]).save_pretrained(Path(models["policy"]).parent / "louder")
    one = stage("rloo", "one", {"beta": 0.1})
    ten = stage("rloo", "ten", {"beta": 0.1}, reward_model=str(Path(models["policy"]).parent / "louder"))
    assert _close(curve(one), curve(ten))


def test_a_reward_that_is_no_number_stops_the_run(stage: Callable[..., Path], models: dict[str, str]) -> None:
    broken = AutoModelForSequenceClassification.from_pretrained(models["reward"])
    broken.score.weight.data.fill_(float("nan"))
    broken.save_pretrained(Path(models["policy"]).parent / "broken")
    AutoTokenizer.from_pretrained(models["reward"]).save_pretrained(Path(models["policy"]).parent / "broken")
    with pytest.raises(NonFiniteError, match="row 0"):
        stage("rloo", reward_model=str(Path(models["policy"]).parent / "broken"))


def test_a_reward_model_that_is_indifferent_is_refused(stage: Callable[..., Path], models: dict[str, str]) -> None:
    indifferent = AutoModelForSequenceClassification.from_pretrained(models["reward"])
    indifferent.score.weight.data.zero_()
    indifferent.save_pretrained(Path(models["policy"]).parent / "indifferent")
    AutoTokenizer.from_pretrained(models["reward"]).save_pretrained(Path(models["policy"]).parent / "indifferent")
    with pytest.raises(ConfigError, match="for a prompt get one reward"):
        stage("rloo", reward_model=str(Path(models["policy"]).parent / "indifferent"))


def test_a_reward_model_that_reads_all_tokens(stage: Callable[..., Path], models: dict[str, str]) -> None:
    """A reward function asks the model itself; TRL's PPO would read its last token."""
    plain = AutoModelForSequenceClassification.from_pretrained(models["reward"])
    mean = PooledForSequenceClassification(PooledConfig(plain.config, "mean", num_labels=1, pad_token_id=0))
    mean.model.load_state_dict(plain.model.state_dict())
    folder = Path(models["policy"]).parent / "mean"
    for part in (mean, AutoTokenizer.from_pretrained(models["reward"])):
        part.save_pretrained(folder)
    assert counts(stage("dpo", reward_model=str(folder)))["steps"] == 4
    if importlib.util.find_spec("trl.experimental.ppo") is not None:
        with pytest.raises(ConfigError, match="mean is no plain sequence classifier; take rloo or grpo"):
            stage("ppo", "ppo", reward_model=str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"num_generations": 3}}, "policy trainer rloo: .*num_generations"),
        ({"model_name_or_path": "/nowhere/policy"}, "/nowhere/policy"),
        ({"reward_model": "/nowhere/reward"}, "/nowhere/reward"),
    ],
)
def test_what_cannot_run_is_refused(stage: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stage("rloo", **changes)


def test_zero3_is_refused(stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    with pytest.raises(ConfigError, match="zero2 or ddp"):
        stage("rloo")


@pytest.mark.slow
def test_two_processes_share_the_work(stage: Callable[..., Path], models: dict[str, str]) -> None:
    """Under DeepSpeed's engine; what two processes sample is not what one does, so only the form is compared."""
    one = stage("rloo")
    config = yaml.safe_load((one.parent / "out.yaml").read_text())
    (one.parent / "two.yaml").write_text(yaml.safe_dump({**config, "train": {**config["train"], "max_steps": 2}}))
    own = ["--config", str(one.parent / "two.yaml"), "--output_dir", str(one.parent / "two")]
    command = [*Launch(find_accelerate_config("cpu_zero2")).command(), "-m", "w2s_rm.stages.policy", *own]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    two = one.parent / "two"
    both = [parquet.read_table(folder / "policy.parquet").to_pydict() for folder in (one, two)]
    assert both[0]["id"] == both[1]["id"]
    assert [line["step"] for line in curve(two)] == [0, 1, 2] and curve(two)[0]["kl"] == 0.0 != curve(two)[-1]["kl"]
    AutoModelForCausalLM.from_pretrained(two / "model")


def test_optimisation_raises_the_reward(trainer: str, stage: Callable[..., Path]) -> None:
    longer = {"total_episodes": 320, "num_ppo_epochs": 4} if trainer == "ppo" else {"max_steps": 40}
    lines = curve(stage(trainer, train={"learning_rate": 5e-3, **longer}))
    assert lines[-1]["reward"] > lines[0]["reward"] + 0.3 and lines[-1]["kl"] > 0.01
