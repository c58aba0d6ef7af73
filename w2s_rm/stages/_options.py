"""What the stages have in common that hand a recipe's options on to a trainer of TRL's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Model, Stage
from w2s_rm.training.trainer_options import batch_size, computing


@dataclass(frozen=True, kw_only=True, eq=False)
class WithOptions(Stage):
    """A stage with a trainer's options.

    Args:
        examples ([`Examples`]): What it reads.
        options (`Mapping`, *optional*): Fields of TRL's configurations of trainers and of its `ModelConfig`.
    """

    on_all_processes: ClassVar[bool] = True

    examples: Examples
    options: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """What the result depends on: of the options those that compute something."""
        return {**super().content(), "options": computing(self.options)}

    def config(self) -> dict[str, Any]:
        """The config, as TRL's parser takes it: options on their own."""
        config = super().config()
        options = config.pop("options")
        # What the stage itself says, and hashes, no option says otherwise.
        return {**options, **config}


@dataclass(frozen=True, kw_only=True, eq=False)
class Training(WithOptions):
    """A stage that trains a model. It makes `model/`.

    Args:
        model_name_or_path ([`Model`]): What to start from.
        seed (`int`): Of what is left to chance.
    """

    model_name_or_path: Model
    seed: int

    def content(self) -> dict[str, Any]:
        """What the result depends on; of the launch, the number of examples in a step."""
        # In place of the two options that, with the number of processes, make it up: `computing` leaves these out.
        return {**super().content(), "global_batch_size": batch_size(self.options, self.launch.processes)}

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.made(Model, "model")
