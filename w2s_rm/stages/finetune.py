"""Train a language model on the texts of examples, right and wrong candidates alike.

accelerate launch -m w2s_rm.stages.finetune --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from w2s_rm.stages._base import Examples, Model, Stage
from w2s_rm.trainer_options import batch_size, computing


@dataclass(frozen=True, kw_only=True, eq=False)
class Finetune(Stage):
    """A language model that has read the texts of a task. It makes `model/`.

    Args:
        examples ([`Examples`]): Whose prompts and candidates it reads.
        model_name_or_path ([`Model`]): What to start from.
        head (`str`, *optional*, defaults to `"lm"`): How it is loaded: as a causal language model.
        seed (`int`): Of the order of texts.
        options (`Mapping`, *optional*): Fields of TRL's `SFTConfig` and `ModelConfig`; others are left out.
    """

    version: ClassVar[int] = 1
    on_all_processes: ClassVar[bool] = True

    examples: Examples
    model_name_or_path: Model
    head: str = "lm"
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """What the result depends on; of the launch, the number of texts in a step."""
        step = {"global_batch_size": batch_size(self.options, self.launch.processes)}
        return {**super().content(), "options": computing(self.options), **step}

    def config(self) -> dict[str, Any]:
        """The config: options on their own."""
        config = super().config()
        options = config.pop("options")
        return {**config, **options}

    @property
    def model(self) -> Model:
        """The trained model."""
        return self.made(Model, "model")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        return f"{words(str(config['model_name_or_path']))}, trained on the texts"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.finetune import finetune

        finetune(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Finetune.run)
