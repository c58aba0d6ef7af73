"""Look for a supervisor's mistakes in what a frozen model makes of the examples.

python -m w2s_rm.stages.saliency --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.stages._base import Examples, Features, Labels, Scores, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency(Stage):
    """How probable a supervisor's mistakes are, by a linear model on features. It makes `predictions.parquet`.

    Args:
        examples ([`Examples`]): On which the mistakes are known: those that the supervisor labels for students.
        features ([`Features`]): Of these.
        labels ([`Labels`]): What the supervisor says of them.
        test_examples ([`Examples`]): Of which it is said how probable mistakes are.
        test_features ([`Features`]): Of these.
        layers (`list[int]`): Whose features to choose from.
        pooling (`str`): How features of tokens became one vector.
        l2 (`list[float]`): Penalties to choose from, the largest first.
    """

    version: ClassVar[int] = 1

    examples: Examples
    features: Features
    labels: Labels
    test_examples: Examples
    test_features: Features
    layers: list[int]
    pooling: str
    l2: list[float]

    @property
    def loads_model(self) -> bool:
        """Never: others have read its model."""
        return False

    @property
    def reported(self) -> bool:
        """Always: two supervisors that say the same share a folder."""
        return True

    @property
    def scores(self) -> Scores:
        """The scores of right and of wrong."""
        return self.made(Scores, "predictions.parquet")

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.saliency import saliency

        saliency(argv)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Saliency.run)
