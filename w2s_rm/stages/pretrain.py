"""Pretrain a small language model on a corpus.

python -m w2s_rm.stages.pretrain --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.data.cache import cache_folder
from w2s_rm.stages._base import Model, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Pretrain(Stage):
    """A small language model from random weights. It makes `model/`, in the cache that all runs share.

    Args:
        pretrain (`Mapping`): The resolved options of [`~w2s_rm.training.pretraining.Pretraining`].
        identity (`str`): What identifies the weights that come out: it knows the content behind a corpus's path.
    """

    version: ClassVar[int] = 1

    pretrain: Mapping[str, Any]
    identity: str

    @property
    def root(self) -> Path:
        """The cache."""
        return cache_folder()

    def content(self) -> dict[str, Any]:
        """What the result depends on."""
        # The options are in it, with the content of the corpus in place of its path.
        return {"identity": self.identity}

    @property
    def model(self) -> Model:
        """The model."""
        return self.made(Model, "model")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        options = config["pretrain"]
        return f"pretrained {options['num_hidden_layers']}x{options['hidden_size']}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.pretrain import pretrain

        pretrain(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Pretrain.run)
