"""Make one label of what several supervisors say.

python -m w2s_rm.stages.combine --config stage.yaml
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
class Combine(Labelling):
    """The labels of an ensemble.

    Args:
        members (`tuple[Labels, ...]`): The labels of each supervisor.
        how (`str`): A way of [`~w2s_rm.data.combining.combine`].
    """

    version: ClassVar[int] = 1

    members: tuple[Labels, ...]
    how: str

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        return f"an ensemble of {len(config['members'])} supervisors ({config['how']})"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.combining import combine, disagreement
        from w2s_rm.data.distributions import label_accuracy
        from w2s_rm.programs.labelling import label_examples, labels_in_order

        def label(config: Mapping[str, Any], examples: Sequence[Example]) -> tuple[list[WeakLabel], dict[str, Any]]:
            members = [labels_in_order(path, examples) for path in config["members"]]
            # For the figures below: what combines the labels is not told the truth.
            truth = {example.id: example.gold for example in examples if example.gold is not None}
            counts = {
                "members": len(members),
                "member_accuracies": [label_accuracy(labels, truth) for labels in members],
                "disagreement": disagreement(members),
            }
            return combine(members, config["how"]), counts

        label_examples(argv, "combine", label)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Combine.run)
