"""Train a weak supervisor, a student or a ceiling, save it, and prove that what was saved is what was trained.

accelerate launch --config_file deepspeed_configs/zero3.yaml -m w2s_rm.stages.train --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Labels, Model, Stage, recorded
from w2s_rm.trainer_options import batch_size, computing


@dataclass(frozen=True, kw_only=True, eq=False)
class Train(Stage):
    """A model trained to score candidates. It makes `model/`, with LoRA `adapter/` too.

    Args:
        examples ([`Examples`]): What to train on.
        model_name_or_path ([`Model`]): What to start from.
        labels ([`Labels`], *optional*): Weak labels by example and candidate id. Without them, training uses the truth.
        setting (`str`, *optional*, defaults to `"reward_modeling"`): Name of a file in `w2s_rm/settings`.
        head (`str`, *optional*, defaults to `"reward"`): How candidates are scored: `reward`, `classification` or `lm`.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        loss (`Mapping`, *optional*): `name` and options of the loss; cross-entropy if it is not given.
        seed (`int`): Of the order of examples, and of the weights of a new head.
        trainable_layers (`int`, *optional*): Train only so many of the last layers, and a new head; by default all.
        run_name (`str`, *optional*): Names the training where it is watched.
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`.
    """

    version: ClassVar[int] = 4
    on_all_processes: ClassVar[bool] = True
    trains: ClassVar[bool] = True
    named_by_role: ClassVar[bool] = True

    examples: Examples
    model_name_or_path: Model
    labels: Labels | None = None
    setting: str = "reward_modeling"
    head: str = "reward"
    classes: list[str] | None = None
    loss: Mapping[str, Any] = field(default_factory=lambda: {"name": "cross_entropy"})
    seed: int
    trainable_layers: int | None = None
    run_name: str | None = recorded(None)
    options: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """What the result depends on; of the launch, the number of examples in a step."""
        step = {"global_batch_size": batch_size(self.options, self.launch.processes)}
        return {**super().content(), "options": computing(self.options), **step}

    def config(self) -> dict[str, Any]:
        """The config, as TRL's parser takes it: options on their own."""
        config = super().config()
        options = config.pop("options")
        return {**config, **options}

    @property
    def noun(self) -> str:
        """Weak supervisors and ceilings are the same thing, models trained on the truth: one may serve as both."""
        return "truth" if self.labels is None else "student"

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.made(Model, "model")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        base = words(str(config["model_name_or_path"]))
        labels = config.get("labels")
        return f"{base}, trained on the {'ground truth' if labels is None else 'labels of ' + words(labels)} ({folder})"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.train import train

        train(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Train.run)
