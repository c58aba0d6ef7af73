"""Make a model folder of a linear model on features, and prove that it gives the same scores.

python -m w2s_rm.stages.assemble --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._base import Features, Labels, Model, recorded
from w2s_rm.stages._options import WithOptions
from w2s_rm.stages.probe import Probe


@dataclass(frozen=True, kw_only=True, eq=False)
class Assemble(WithOptions):
    """A model of a frozen one and a linear model on its hidden states. It makes `model/`.

    Args:
        examples ([`~w2s_rm.stages.Examples`]): What the linear model was trained on.
        features ([`Features`]): Of these, and perhaps of others.
        linear_model ([`Model`]): The linear model.
        model_name_or_path ([`Model`]): Whose hidden states it reads.
        labels ([`Labels`], *optional*): What it was trained on in place of the truth.
        setting (`str`): Name of a row in `w2s_rm/settings.py`.
        head (`str`): `reward` or `classification`.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        loss (`Mapping`, *optional*): With which it was trained.
        seed (`int`, *optional*): Of its training.
        options (`Mapping`, *optional*): Fields of `TrainingArguments`, `RewardConfig` and TRL's `ModelConfig`, as those
            with which the features were read.
    """

    version: ClassVar[int] = 1
    # Unlike other stages with options: there is one model to put together, and few examples are scored.
    on_all_processes: ClassVar[bool] = False

    features: Features
    linear_model: Model
    model_name_or_path: Model
    labels: Labels | None = None
    setting: str
    head: str
    classes: list[str] | None = None
    # For the card; the linear model's own identity holds them.
    loss: Mapping[str, Any] | None = recorded(None)
    seed: int | None = recorded(None)

    @property
    def model(self) -> Model:
        """The model."""
        return self.made(Model, "model")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        return Probe.describe(config, words, folder)

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.assemble import assemble

        assemble(argv, cls)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Assemble.run)
