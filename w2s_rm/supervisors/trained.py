"""A model that scores candidates already, such as a reward model from the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.roles import WEAK
from w2s_rm.runs.places import lacks_head
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Trained:
    """A model as it is. It labels alike for every seed.

    Args:
        model (`str`, *optional*, defaults to `"weak"`): The part of the recipe that describes it: `weak`, or a name of
            its `models`.
    """

    model: str = WEAK

    needs_truth: ClassVar[bool] = False

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Label with it.

        Raises:
            ConfigError: It has no head that was trained.
        """
        weak, head = route.base(self.model), route.encoding["head"]
        # What was pretrained or converted here is a language model, as is what a folder says it is.
        headless = weak.maker is not None or lacks_head(weak.path)
        if headless and not HEADS[head].writes:
            raise ConfigError(
                f"supervisor trained: {self.model} is a language model, and head {head} would be one of random weights "
                "on it; train it (supervisor model), or name a model that was trained for this"
            )
        # As given: its layers, adapter and quantisation are what the recipe says; a model that was trained here carries
        # them itself.
        judged = route.evaluate(WEAK, weak, part=self.model, seed=seed, method=method, as_given=True)
        return Supervision(
            lambda split: route.relabel(weak, split, part=self.model, seed=seed, as_given=True),
            (judged,) if route.has_truth else (),
            weak,
        )
