"""Train a language model on the texts of examples, right and wrong candidates alike.

accelerate launch -m w2s_rm.stages.finetune --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.stages._options import Training


@dataclass(frozen=True, kw_only=True, eq=False)
class Finetune(Training):
    """A language model that has read the texts of a task. It makes `model/`.

    Args:
        examples ([`~w2s_rm.stages.Examples`]): Whose prompts and candidates it reads.
        model_name_or_path ([`~w2s_rm.stages.Model`]): What to start from.
        head (`str`, *optional*, defaults to `"lm"`): How it is loaded: as a causal language model.
        seed (`int`): Of the order of texts.
        options (`Mapping`, *optional*): Fields of TRL's `SFTConfig` and `ModelConfig`; others are left out.
    """

    version: ClassVar[int] = 1

    head: str = "lm"

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        return f"{words(str(config['model_name_or_path']))}, trained on the texts"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.finetune import finetune

        finetune(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Finetune.run)
