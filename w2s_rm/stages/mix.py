"""Put the ground truth of a few examples among the labels of a supervisor.

python -m w2s_rm.stages.mix --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.stages._base import Labels
from w2s_rm.stages._labelling import Labelling

if TYPE_CHECKING:
    from w2s_rm.data.label_files import WeakLabel
    from w2s_rm.types import Example


@dataclass(frozen=True, kw_only=True, eq=False)
class Mix(Labelling):
    """Labels of which some are the truth; which ones, a hash of id and seed decides.

    Args:
        labels ([`Labels`]): What a supervisor says.
        n_true (`int`): Number of labels that become the truth; those of fewer keep theirs.
        seed (`int`): For what is left to chance.
    """

    version: ClassVar[int] = 1

    labels: Labels
    n_true: int
    seed: int

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        return f"{words(config['labels'])}, and the truth of {config['n_true']} examples"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.simulating import with_truths
        from w2s_rm.programs.labelling import label_examples, labels_in_order

        def label(config: Mapping[str, Any], examples: Sequence[Example]) -> tuple[list[WeakLabel], dict[str, Any]]:
            weak_labels = labels_in_order(config["labels"], examples)
            labels = with_truths(examples, weak_labels, config["n_true"], seed=config["seed"])
            return labels, {"n_true": config["n_true"]}

        label_examples(argv, "mix", label)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Mix.run)
