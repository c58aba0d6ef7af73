"""A weak model that is trained on the ground truth of its own split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.roles import WEAK
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Model:
    """A model, trained on the truth.

    Args:
        model (`str`, *optional*, defaults to `"weak"`): The part of the recipe that describes it: `weak`, or a name of
            its `models`.
    """

    model: str = WEAK

    needs_truth: ClassVar[bool] = True

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Train it, then label with it."""
        weak = route.train(WEAK, seed, part=self.model, method=method).model
        judged = route.evaluate(WEAK, weak, part=self.model, seed=seed, method=method)
        return Supervision(lambda split: route.relabel(weak, split, part=self.model, seed=seed), (judged,), weak)
