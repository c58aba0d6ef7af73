"""What the `policy` stage is made of: loading, rewards on one scale, judging by the truth, the curve over training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import extract_model_from_parallel, gather_object
from transformers import AutoModelForCausalLM, PreTrainedModel, TrainerCallback, TrainerControl, TrainerState
from trl import ModelConfig, get_peft_config, get_quantization_config

from w2s_rm.data.examples import read_examples, write_parquet
from w2s_rm.errors import ConfigError
from w2s_rm.files import write_text
from w2s_rm.integrations.rewards import RewardFunction
from w2s_rm.options import build
from w2s_rm.programs.rollouts import Completion, sample_completions
from w2s_rm.training.modeling import check_quantization, load_tokenizer, quiet_loading
from w2s_rm.types import Example, Text

# Far from what recipes use as seeds: judging draws nothing that training has drawn.
_EVALUATION_SEED = 1_000_003
SCALE_SAMPLES = 4
"""Completions of each prompt that set the scale of rewards."""


def load_policy(config: Mapping[str, Any]) -> tuple[PreTrainedModel, Any, Any]:
    """Load the starting policy, its tokenizer, and the adapter that the recipe asks for.

    Args:
        config (`Mapping[str, Any]`): The stage config; its `model` are fields of TRL's `ModelConfig`, its `train` may
            say `trust_remote_code`.

    Raises:
        ConfigError: Nothing loads from the path.
    """
    path = config["model_name_or_path"]
    model_args = ModelConfig(**{**config["model"], "model_name_or_path": path})
    check_quantization(model_args)
    quantization = get_quantization_config(model_args)
    # TRL has it among the options of training, but for PPO.
    remote = bool(config.get("train", {}).get("trust_remote_code", False))
    settings = {
        "revision": model_args.model_revision,
        "dtype": model_args.dtype,
        "attn_implementation": model_args.attn_implementation,
        "quantization_config": quantization,
        "device_map": {"": PartialState().device} if quantization is not None else None,
        "trust_remote_code": remote,
    }
    tokenizer = load_tokenizer(path, revision=model_args.model_revision, trust_remote_code=remote)
    # What is written goes on at the end of a row.
    tokenizer.padding_side = "left"
    loading = {name: value for name, value in settings.items() if value is not None}
    try:
        with quiet_loading():
            model = AutoModelForCausalLM.from_pretrained(path, use_safetensors=True, **loading)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"no language model loads from policy.model_name_or_path {path!r}: {error}") from error
    return model, tokenizer, get_peft_config(model_args)


class ScaledReward:
    """A reward function on the scale of the starting policy: 0 is its mean reward, 1 more is the standard deviation of
    its rewards for one prompt.

    So a coefficient on the Kullback-Leibler divergence means the same for every reward model. Differences between
    prompts, which no policy can change, do not count.

    Args:
        reward ([`~w2s_rm.integrations.rewards.RewardFunction`]): In the reward model's own units.
    """

    def __init__(self, reward: RewardFunction) -> None:
        self.reward, self.mean, self.deviation = reward, 0.0, 1.0
        # TRL logs rewards under this name.
        self.__name__ = reward.__name__

    def scale_to(self, written: Sequence[tuple[Example, Completion]]) -> None:
        """Measure mean and standard deviation.

        Args:
            written (`Sequence` of `(Example, Completion)`): By the starting policy, `SCALE_SAMPLES` for each prompt.

        Raises:
            ConfigError: The rewards of each prompt are all equal.
        """
        rewards = self.reward([example.prompt for example, _ in written], [as_text(*pair) for pair in written])
        # Completions come prompt by prompt: a row for each prompt.
        rewards_BN = np.reshape(rewards, (-1, SCALE_SAMPLES))
        # The mean of variances within a prompt, and its root: what differs between prompts is not in it.
        # Divided by n - 1: of four samples each the other variance would on average be a quarter too small.
        deviation = float(np.sqrt(rewards_BN.var(axis=1, ddof=1).mean()))
        if not deviation > 0:
            raise ConfigError(
                f"{self.__name__}: all completions that the starting policy writes for a prompt get one reward; "
                "a policy that always writes the same cannot be optimised"
            )
        self.mean, self.deviation = float(rewards_BN.mean()), deviation

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[float]:
        """Return the scaled reward of each completion."""
        rewards = self.reward(prompts, completions, **columns)
        return [(reward - self.mean) / self.deviation for reward in rewards]

    def score_examples(self, examples: Sequence[Example]) -> list[tuple[float, ...]]:
        """Return the scaled rewards of all candidates of examples."""
        scores = self.reward.scorer.score_examples(examples)
        return [tuple((score - self.mean) / self.deviation for score in row) for row in scores]


def merged(config: Mapping[str, Any], adapter: Path) -> Any:
    """Merge a saved adapter into the starting policy.

    Args:
        config (`Mapping[str, Any]`): The stage config.
        adapter (`Path`): Folder of the adapter.
    """
    from peft import PeftModel

    base: Any = load_policy(config)[0]
    if config["model"].get("load_in_4bit") or config["model"].get("load_in_8bit"):
        # Merged into quantised weights, most of the adapter would be rounded away.
        base = base.dequantize()
    return PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()


def as_text(example: Example, completion: Completion) -> Text:
    """Return a completion in the form of its prompt: text, or a message."""
    if isinstance(example.prompt, str):
        return completion.text
    return ({"role": "assistant", "content": completion.text},)


@dataclass(frozen=True)
class Judged:
    """What a policy is worth on the test prompts: for each of them the mean over its completions.

    Args:
        ids (`list[str]`): Example ids.
        success (`list[float]`): Share of completions that are truly right.
        reward (`list[float]`): Mean reward, in the units of [`ScaledReward`].
        kl (`list[float]`): Mean log-ratio to the starting policy, in nats.
    """

    ids: list[str]
    success: list[float]
    reward: list[float]
    kl: list[float]

    def mean(self, name: str) -> float:
        """Return the mean of a column over prompts."""
        return math.fsum(getattr(self, name)) / len(self.ids)


class Judge:
    """Samples what a policy writes and judges it.

    Args:
        config (`Mapping[str, Any]`): The stage config.
        start (`PreTrainedModel`): The starting policy, not trained.
        tokenizer (`PreTrainedTokenizerBase`): The policy's.
        reward ([`ScaledReward`]): Of the reward model.
    """

    def __init__(self, config: Mapping[str, Any], start: PreTrainedModel, tokenizer: Any, reward: ScaledReward) -> None:
        self.task = build("tasks", config["task"])
        self.examples = read_examples(Path(config["examples"]))
        self.config, self.start, self.tokenizer, self.reward = config, start.eval(), tokenizer, reward

    def sample(self, model: Any, examples: Sequence[Example], samples: int) -> list[tuple[Example, Completion]]:
        """Sample completions; each process does its share of the prompts and gets all.

        Args:
            model (`PreTrainedModel`): Whole, on its device.
            examples (`Sequence[Example]`): Whose prompts are answered.
            samples (`int`): Completions of each prompt.
        """
        device = next(model.parameters()).device
        state = PartialState()
        rank, ranks = state.process_index, state.num_processes
        indices = list(range(rank, len(examples), ranks))
        completions = sample_completions(
            model,
            self.start.to(device),
            self.tokenizer,
            [examples[index].prompt for index in indices],
            samples=samples,
            max_completion_length=self.config["max_completion_length"],
            # The same draws each time, so that along a curve the policy changes and luck does not; others for each
            # rank.
            seed=_EVALUATION_SEED * (self.config["seed"] + 1) + rank,
        )
        # With their indices, for what comes back is ordered by process.
        gathered = dict(gather_object(list(zip(indices, completions, strict=True))))
        return [(example, completion) for index, example in enumerate(examples) for completion in gathered[index]]

    def judge(self, model: Any) -> Judged:
        """Judge what a policy writes on the test prompts."""
        samples = int(self.config["samples"])
        pairs = self.sample(model, self.examples, samples)
        rewards = self.reward([example.prompt for example, _ in pairs], [as_text(*pair) for pair in pairs])
        columns = {
            "success": [float(self.task.judge(example, completion.text)) for example, completion in pairs],
            "reward": rewards,
            "kl": [completion.log_ratio for _, completion in pairs],
        }
        # Samples of a prompt stand together: a row for each prompt.
        means = {name: np.reshape(values, (-1, samples)).mean(axis=1).tolist() for name, values in columns.items()}
        return Judged(ids=[example.id for example in self.examples], **means)


class Curve(TrainerCallback):
    """Judges the policy at even distances in training and keeps a line of each in `curve.jsonl`.

    Args:
        path (`Path`): The file.
        judge ([`Judge`]): Judges.
        evaluations (`int`): How many times after the start; the last is the end's.
    """

    def __init__(self, path: Path, judge: Judge, evaluations: int) -> None:
        self.path, self.judge, self.evaluations = path, judge, evaluations
        self.lines: list[dict[str, float]] = []

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Judge the starting policy, or begin with what the checkpoint knows of the steps before it."""
        if state.global_step == 0:
            self.lines = []
            self._add(0, kwargs["model"])
            return
        kept = self._in_checkpoint(args, state).read_text(encoding="utf-8").splitlines()
        self.lines = [json.loads(line) for line in kept]

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Judge the policy where a line is due; the end is judged by the stage."""
        due = {round(state.max_steps * part / self.evaluations) for part in range(1, self.evaluations)}
        if state.global_step in due and state.global_step < state.max_steps:
            self._add(state.global_step, kwargs["model"])

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the lines with the checkpoint, whose checksums hold for them as well."""
        if state.is_world_process_zero:
            write_text(self._in_checkpoint(args, state), self._text())

    def _in_checkpoint(self, args: Any, state: TrainerState) -> Path:
        return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / self.path.name

    def _text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    def _add(self, step: int, model: Any) -> None:
        judged = self.judge.judge(self.policy_of(model))
        self.lines.append({"step": step, **{name: judged.mean(name) for name in ("kl", "reward", "success")}})
        if PartialState().is_main_process:
            write_text(self.path, self._text())

    @staticmethod
    def policy_of(model: Any) -> Any:
        """Take the policy out of what distributed training and PPO's value model wrapped around it."""
        model = extract_model_from_parallel(model)
        return getattr(model, "policy", model)


def write_judged(path: Path, judged: Judged) -> None:
    """Write a row for each test prompt, completely or not at all."""
    import pyarrow as pa

    columns = {name: pa.array(getattr(judged, name), pa.float64()) for name in ("success", "reward", "kl")}
    write_parquet(path, pa.table({"id": pa.array(judged.ids, pa.string()), **columns}))
