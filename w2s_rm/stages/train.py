"""Train a weak supervisor, a student or a ceiling, save it, and prove that what was saved is what was trained.

accelerate launch --config_file deepspeed_configs/zero3.yaml -m w2s_rm.stages.train --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Features, Labels, component, extra, recorded
from w2s_rm.stages._options import Training


@dataclass(frozen=True, kw_only=True, eq=False)
class Train(Training):
    """A model trained to score candidates. It makes `model/`, with LoRA `adapter/` too, with evaluations a curve.

    Args:
        examples ([`~w2s_rm.stages.Examples`]): What to train on.
        model_name_or_path ([`~w2s_rm.stages.Model`]): What to start from.
        labels ([`Labels`], *optional*): Weak labels by example and candidate id. Without them, training uses the truth.
        setting (`str`, *optional*, defaults to `"reward_modeling"`): Name of a row in `w2s_rm/settings.py`.
        head (`str`, *optional*, defaults to `"reward"`): How candidates are scored: `reward`, `classification` or `lm`.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        loss (`Mapping`, *optional*): `name` and options of the loss; cross-entropy if it is not given.
        seed (`int`): Of the order of examples, and of the weights of a new head.
        trainable_layers (`int`, *optional*): Train only so many of the last layers, and a new head; by default all.
        frozen_states ([`~w2s_rm.stages.Features`], *optional*): What the other layers make of the examples; they are
            not computed then.
        evaluations (`int`, *optional*): How often held-out splits are scored during training, beside once before it.
        evaluation_spacing (`str`, *optional*, defaults to `"log"`): How these lie over the steps; see
            [`~w2s_rm.training.evaluations.Evaluations`].
        keep (`str`, *optional*, defaults to `"end"`): Which of the evaluated models is saved.
        validation ([`~w2s_rm.stages.Examples`], *optional*): Held out, scored in evaluations.
        validation_labels ([`Labels`], *optional*): What the supervisor says of them.
        test ([`~w2s_rm.stages.Examples`], *optional*): Held out, scored in evaluations; chooses nothing.
        run_name (`str`, *optional*): Names the training where it is watched.
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`.
    """

    version: ClassVar[int] = 4
    trains: ClassVar[bool] = True
    encodes: ClassVar[bool] = True

    labels: Labels | None = None
    setting: str = "reward_modeling"
    head: str = "reward"
    classes: list[str] | None = None
    loss: Mapping[str, Any] = component("losses", {"name": "cross_entropy"})
    trainable_layers: int | None = None
    frozen_states: Features | None = extra(None)
    # What a training scores between its steps does not change its weights, unless `keep` chooses by it; at their
    # defaults these fields are not in the hash, and models that were trained before there were any keep theirs.
    evaluations: int | None = extra(None)
    evaluation_spacing: str = extra("log")
    keep: str = extra("end")
    validation: Examples | None = extra(None)
    validation_labels: Labels | None = extra(None)
    test: Examples | None = extra(None)
    # Weights know no name, so that recipes which train the same model share it.
    run_name: str | None = recorded(None)

    @property
    def noun(self) -> str:
        """Weak supervisors and ceilings are the same thing, models trained on the truth: one may serve as both."""
        return "truth" if self.labels is None else "student"

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        base = words(str(config["model_name_or_path"]))
        labels = config.get("labels")
        return f"{base}, trained on the {'ground truth' if labels is None else 'labels of ' + words(labels)} ({folder})"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.train import train

        train(argv, cls)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Train.run)
