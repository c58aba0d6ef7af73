"""Score a held-out split with a saved model, by features, or with a file of labels; keep the scores by example id.

accelerate launch -m w2s_rm.stages.evaluate --config stage.yaml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.stages._base import Scores
from w2s_rm.stages._judging import Judging


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluate(Judging):
    """Scores of a held-out split. It makes `predictions.parquet`."""

    version: ClassVar[int] = 4
    judges: ClassVar[bool] = True

    @property
    def scores(self) -> Scores:
        """The scores."""
        return self.made(Scores, "predictions.parquet")

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Run the stage."""
        from w2s_rm.programs.evaluate import evaluate

        evaluate(argv, cls)


if __name__ == "__main__":
    from w2s_rm.programs.launched import run_main

    run_main(Evaluate.run)
