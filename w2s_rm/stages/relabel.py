"""Write weak labels for examples: with a model, by features, or from a file of labels that stands in for a model.

accelerate launch -m w2s_rm.stages.relabel --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2s_rm.stages._base import Labels
from w2s_rm.stages._judging import Judging


@dataclass(frozen=True, kw_only=True, eq=False)
class Relabel(Judging):
    """Weak labels. It makes `weak_labels.parquet`, and of comparisons `dataset/`, preferences in TRL's form."""

    version: ClassVar[int] = 4

    @property
    def weak_labels(self) -> Labels:
        """The labels."""
        return self.made(Labels, "weak_labels.parquet")

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        # By its name alone: cards may go to the hub, and paths are private.
        if config.get("labels") is not None:
            return f"labels from the file {Path(config['labels']).name}"
        return words(str(config["model_name_or_path"]))

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.relabel import relabel

        relabel(argv, cls)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Relabel.run)
