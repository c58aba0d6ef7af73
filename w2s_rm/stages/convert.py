"""Make an ordinary model folder of a file in another format.

python -m w2s_rm.stages.convert --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.data.cache import cache_folder
from w2s_rm.stages._base import Model, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Convert(Stage):
    """A model from a GGUF file, dequantised. It makes `model/`, in the cache that all runs share.

    Args:
        source ([`Model`]): The file.
    """

    version: ClassVar[int] = 1

    source: Model

    @property
    def root(self) -> Path:
        """The cache."""
        return cache_folder()

    @property
    def model(self) -> Model:
        """The model."""
        return self.made(Model, "model")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the model, for a card."""
        return Path(config["source"]).stem

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.convert import convert

        convert(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Convert.run)
