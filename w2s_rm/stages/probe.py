"""Train a linear model on the features of a frozen one: a weak supervisor, a student or a ceiling.

python -m w2s_rm.stages.probe --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.runs.places import LINEAR_MODEL
from w2s_rm.stages._base import Examples, Features, Labels, Model, Stage, component

# What only a loss that is minimised in batches depends on.
_OF_BATCHES = ("learning_rate", "num_train_epochs", "batch_size", "seed")


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe(Stage):
    """A linear model that scores candidates. It makes `probe.safetensors`, a model for each layer and penalty.

    Args:
        examples ([`Examples`]): What to train on.
        features ([`Features`]): Of these, and perhaps of others.
        labels ([`Labels`], *optional*): Weak labels by example and candidate id. Without them, training uses the truth.
        validation_examples ([`Examples`], *optional*): Where layer and penalty are chosen, if there are several.
        validation_features ([`Features`], *optional*): Of these.
        validation_labels ([`Labels`], *optional*): By which they are chosen; without them, by the truth.
        head (`str`): `reward`, one vector of weights for all candidates, or `classification`, one for each class.
        classes (`list[str]`, *optional*): The candidates of every example, when they have a fixed meaning.
        loss (`Mapping`): `name` and options of the loss.
        convex (`bool`): Whether the loss is convex, and so is minimised over all examples at once.
        layers (`list[int]`): Whose features to choose from.
        pooling (`str`): How features of tokens became one vector.
        l2 (`list[float]`): Penalties to choose from, the largest first.
        learning_rate (`float`): Of a loss that is not convex: of Adam's first step.
        num_train_epochs (`float`): Of such a loss: how often each example is seen.
        batch_size (`int`): Of such a loss: examples in a step.
        seed (`int`): Of such a loss: of the order of examples.
    """

    version: ClassVar[int] = 2
    trains: ClassVar[bool] = True

    examples: Examples
    features: Features
    labels: Labels | None = None
    validation_examples: Examples | None = None
    validation_features: Features | None = None
    validation_labels: Labels | None = None
    head: str
    classes: list[str] | None = None
    loss: Mapping[str, Any] = component("losses", {"name": "cross_entropy"})
    convex: bool
    layers: list[int]
    pooling: str
    l2: list[float]
    learning_rate: float
    num_train_epochs: float
    batch_size: int
    seed: int

    @property
    def loads_model(self) -> bool:
        """Never: others have read its model."""
        return False

    def content(self) -> dict[str, Any]:
        """What the result depends on: nothing is left to chance where the loss is convex."""
        # Seeds whose examples and labels are the same then share a folder.
        unused = _OF_BATCHES if self.convex else ()
        return {name: value for name, value in super().content().items() if name not in unused}

    @property
    def model(self) -> Model:
        """The linear model."""
        return self.made(Model, LINEAR_MODEL)

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        labels = config.get("labels")
        target = "the ground truth" if labels is None else f"the labels of {words(labels)}"
        return f"a linear model on {words(str(config['features']))}, trained on {target} ({folder})"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.probe import probe

        probe(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Probe.run)
