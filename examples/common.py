"""What the examples share: options, the embedded world or own models and data, and what a policy is worth."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from accelerate import PartialState
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import ModelConfig, TrlParser
from world import embedded_world

from w2s_rm.data.examples import content_id
from w2s_rm.data.reading import read_rows
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.integrations.rewards import RewardFunction, reward_function
from w2s_rm.programs.launched import machine_defaults, quiet_progress, quiet_warnings, zero_stage
from w2s_rm.programs.policy_parts import load_policy
from w2s_rm.programs.rollouts import sample_completions
from w2s_rm.tasks._comparison import parse_text
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Example, Row, Text

# The models of the embedded world are tiny, and its answers are one word and the end.
_TINY = {"bf16": False, "gradient_checkpointing": False, "report_to": "none", "save_strategy": "no"}


@dataclass
class ExampleArguments:
    """
    What an example works on. Without `dataset_name`: the embedded world, and its models where none are named.

    Parameters:
        dataset_name (`str`, *optional*):
            Prompts, or preferences in TRL's formats: hub id, folder with `train.jsonl` and `test.jsonl`, or a saved
            dataset.
        dataset_config (`str`, *optional*):
            Configuration of a hub dataset.
        dataset_train_split (`str`, *optional*, defaults to `"train"`):
            Split to train on.
        dataset_test_split (`str`, *optional*, defaults to `"test"`):
            Split of which the prompts are answered before and after.
        test_prompts (`int`, *optional*, defaults to `250`):
            How many of its prompts, the first ones.
        runs (`str`, *optional*, defaults to `"runs"`):
            Folder of the runs: the embedded world is made there, and the policy saved.
    """

    dataset_name: str | None = field(default=None, metadata={"help": "Hub id, folder or saved dataset."})
    dataset_config: str | None = field(default=None, metadata={"help": "Configuration of a hub dataset."})
    dataset_train_split: str = field(default="train", metadata={"help": "Split to train on."})
    dataset_test_split: str = field(default="test", metadata={"help": "Split of held-out prompts."})
    test_prompts: int = field(default=250, metadata={"help": "How many held-out prompts are answered."})
    runs: str = field(default="runs", metadata={"help": "Folder of the runs."})


@dataclass
class RewardArguments(ExampleArguments):
    """
    For trainers whose configuration does not name a reward model.

    Parameters:
        reward_model_path (`str`, *optional*):
            Reward model: folder or hub id.
    """

    reward_model_path: str | None = field(default=None, metadata={"help": "Reward model: folder or hub id."})


@dataclass
class SamplingArguments(RewardArguments):
    """
    For what does not say how long completions are.

    Parameters:
        max_completion_length (`int`, *optional*, defaults to `256`):
            Most tokens of a completion.
    """

    max_completion_length: int = field(default=256, metadata={"help": "Most tokens of a completion."})


class Answer(NamedTuple):
    """A sampled completion.

    Args:
        reward (`float`): What the reward model says.
        right (`bool`, *optional*): What the truth says, in the embedded world.
    """

    reward: float
    right: bool | None


def parse(argv: Sequence[str], arguments: Any, config: Any, world: Mapping[str, Any]) -> tuple[Any, Any, ModelConfig]:
    """Parse the command line with TRL's parser; in the embedded world other defaults hold.

    Args:
        argv (`Sequence[str]`): The command line.
        arguments (`type`): [`ExampleArguments`] or one made of it.
        config (`type`, *optional*): Configuration of the trainer.
        world (`Mapping[str, Any]`): Defaults in the embedded world.
    """
    quiet_warnings()
    if not sys.stderr.isatty():
        quiet_progress()
    known = TrlParser(ExampleArguments, allow_abbrev=False, add_help=False)
    given = known.parse_args_and_config(argv, return_remaining_strings=True)[0]
    parser = TrlParser([kind for kind in (arguments, config, ModelConfig) if kind is not None])
    if config is not None:
        output_dir = str(Path(given.runs) / "examples" / config.__name__.removesuffix("Config").lower())
        parser.set_defaults_with_config(output_dir=output_dir, reward_model_path=None, **machine_defaults({}))
    if given.dataset_name is None:
        parser.set_defaults_with_config(**_TINY, **world)
    parsed = parser.parse_args_and_config(argv)
    return parsed if config is not None else (parsed[0], None, parsed[1])


@dataclass(frozen=True)
class Start:
    """What an optimisation starts from; trainers change `policy` in place.

    Args:
        policy (`PreTrainedModel`): The policy.
        tokenizer (`PreTrainedTokenizerBase`): The policy's, padding on the left.
        peft_config (`PeftConfig`, *optional*): With `--use_peft`.
        reward ([`~w2s_rm.integrations.rewards.RewardFunction`]): For `reward_funcs`.
        reward_model (`str`): Where it came from.
        train (`list[Example]`): To train on; without candidates where the dataset has only prompts.
        test (`list[Example]`): Held out.
        judge (`Callable[[Example, str], bool]`, *optional*): The truth, in the embedded world.
    """

    policy: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    peft_config: Any
    reward: RewardFunction
    reward_model: str
    train: list[Example]
    test: list[Example]
    judge: Callable[[Example, str], bool] | None

    def prompts(self) -> Dataset:
        """Return the prompts to train on, as TRL's online trainers take them."""
        return Dataset.from_list([{"prompt": example.prompt} for example in self.train])

    def sample(self, samples: int, max_completion_length: int) -> list[list[Answer]]:
        """Let the policy, as it is now, answer the held-out prompts.

        Args:
            samples (`int`): Answers to each.
            max_completion_length (`int`): Most tokens of an answer.
        """
        policy: Any = self.policy
        policy.to(PartialState().device)
        prompts = [example.prompt for example in self.test]
        given: dict[str, Any] = {"samples": samples, "max_completion_length": max_completion_length, "seed": 0}
        written = sample_completions(policy, policy, self.tokenizer, prompts, **given)
        pairs = [(example, one.text) for example, row in zip(self.test, written, strict=True) for one in row]
        rewards = self.reward([example.prompt for example, _ in pairs], [_like(e.prompt, text) for e, text in pairs])
        right = [None if self.judge is None else self.judge(*pair) for pair in pairs]
        answers = list(map(Answer, rewards, right))
        return [answers[first : first + samples] for first in range(0, len(answers), samples)]

    def measure(self, max_completion_length: int) -> list[Answer]:
        """Sample four answers to each held-out prompt."""
        return list(chain.from_iterable(self.sample(4, max_completion_length)))

    def report(self, before: Sequence[Answer], after: Sequence[Answer]) -> None:
        """Print what the policy is worth before and after.

        Args:
            before (`Sequence[Answer]`): Of the starting policy.
            after (`Sequence[Answer]`): Of the trained one.
        """
        say(f"{len(self.test)} held-out prompts, {len(after) // len(self.test)} answers to each")
        say(f"before: {worth(before)}")
        say(f"after:  {worth(after)}")


def worth(answers: Sequence[Answer]) -> str:
    """Put into words how good answers are."""
    reward = f"mean reward {fmean(answer.reward for answer in answers):.3f}"
    if answers[0].right is None:
        return reward
    return f"true success rate {100 * fmean(bool(answer.right) for answer in answers):.1f} %, {reward}"


def say(text: str) -> None:
    """Print on the main process only."""
    if PartialState().is_main_process:
        print(text, flush=True)


def load(arguments: ExampleArguments, model: ModelConfig, reward_model_path: str | None) -> Start:
    """Load policy, reward model and prompts: the embedded world's where none are named.

    Args:
        arguments ([`ExampleArguments`]): What the example works on.
        model ([`~trl.ModelConfig`]): The policy.
        reward_model_path (`str`, *optional*): The reward model.

    Raises:
        ConfigError: A dataset is named, but no models that speak its language; or ZeRO-3.
    """
    if zero_stage() == 3:
        raise ConfigError("under ZeRO-3 no process has the whole policy to sample from; use ddp.yaml or zero2.yaml")
    policy_path, judge = model.model_name_or_path, None
    if arguments.dataset_name is None:
        world = embedded_world(Path(arguments.runs))
        policy_path, reward_model_path = policy_path or world.policy, reward_model_path or world.reward_model
        train, test, judge = world.train, world.test, world.judge
    else:
        options = {"model_name_or_path": policy_path, "reward_model_path": reward_model_path}
        missing = [f"--{name} is missing" for name, value in options.items() if value is None]
        if missing:
            raise ConfigError(join_problems("with --dataset_name go models that read its text:", missing))
        train = list(read(arguments, arguments.dataset_train_split))
        test = list(read(arguments, arguments.dataset_test_split))
    loaded = load_policy({"model_name_or_path": policy_path, "model": dataclasses.asdict(model)})
    reward = reward_function(str(reward_model_path))
    return Start(*loaded, reward, str(reward_model_path), train, test[: arguments.test_prompts], judge)


def read(arguments: ExampleArguments, split: str) -> Iterator[Example]:
    """Read preferences, or prompts alone, which become examples without candidates.

    Args:
        arguments ([`ExampleArguments`]): Name the dataset.
        split (`str`): Which part of it.
    """
    rows = read_rows(str(arguments.dataset_name), split, config_name=arguments.dataset_config)
    first = next(rows)
    task = Preference(str(arguments.dataset_name), prompt_column="prompt" if "prompt" in first.values else None)
    for row in chain([first], rows):
        yield task.to_example(row) if "chosen" in row.values or "prompt" not in row.values else _prompt_only(row)


def _prompt_only(row: Row) -> Example:
    prompt = parse_text(row.values["prompt"], f"{row.place}: 'prompt'")
    name = content_id(prompt, ())
    return Example(id=name, group=name, prompt=prompt, candidates=(), gold=None)


def _like(prompt: Text, text: str) -> Text:
    """Give a completion the form of its prompt: text, or a message."""
    return text if isinstance(prompt, str) else ({"role": "assistant", "content": text},)
