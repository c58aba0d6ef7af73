"""Draw the labels of a supervisor towards what is wrong.

python -m w2s_rm.stages.oppose --config stage.yaml
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
class Oppose(Labelling):
    """Labels that are mixed with an aim against the truth: [`~w2s_rm.data.simulating.opposed`].

    Args:
        labels ([`Labels`]): What a supervisor says.
        strength (`float`): Share of that aim, in (0, 1].
        pattern (`str`, *optional*): Where it is pursued: a regular expression that is found in the prompt.
        seed (`int`): The repetition that the labels belong to; nothing is left to chance.
    """

    version: ClassVar[int] = 1

    labels: Labels
    strength: float
    pattern: str | None = None
    seed: int

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe the labels, for a card."""
        where = f" where the prompt has {config['pattern']!r}" if config.get("pattern") else ""
        return f"{words(config['labels'])}, drawn by {config['strength']:g} towards what is wrong{where}"

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.data.simulating import opposed
        from w2s_rm.programs.labelling import label_examples, labels_in_order

        def label(config: Mapping[str, Any], examples: Sequence[Example]) -> tuple[list[WeakLabel], dict[str, Any]]:
            given = labels_in_order(config["labels"], examples)
            return opposed(examples, given, config["strength"], config.get("pattern")), {}

        label_examples(argv, "oppose", label)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Oppose.run)
