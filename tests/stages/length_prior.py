"""A supervisor of one's own in one file: it labels with a stage of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from w2s_rm import catalog
from w2s_rm.supervisors import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route

Longest = catalog.lookup("stages", str(Path(__file__).with_name("longest.py")))


@dataclass(frozen=True)
class LengthPrior:
    """The longer candidate is the better one.

    Args:
        confidence (`float`, *optional*, defaults to `0.8`): Probability of the longer one.
    """

    confidence: float = 0.8

    needs_truth: ClassVar[bool] = False

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Label with the stage."""

        def label(split: str) -> object:
            return Longest(runs=route.runs, examples=route.examples(split), confidence=self.confidence).weak_labels

        return Supervision(label, (route.evaluate_labels(label("test"), seed=seed, method=method),))
