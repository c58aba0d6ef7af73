"""Another supervisor, and an aim against the truth: a conflict everywhere, or lies in a chosen region."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm import options
from w2s_rm.data.simulating import pattern_mistake
from w2s_rm.errors import OptionError
from w2s_rm.stages import Labels
from w2s_rm.stages.oppose import Oppose
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Opposed:
    """A supervisor whose labels are drawn towards wrong candidates, see [`~w2s_rm.data.simulating.opposed`].

    With a strength below 1 and no pattern that is a conflict of aims, in the spirit of Yang et al. 2024 (arXiv
    2406.11431): whoever learns from the labels is rewarded for what the supervisor holds right, and for what is wrong.
    With a strength of 1 and a pattern it is a supervisor that knows the truth of a region and lies there.

    Args:
        strength (`float`, *optional*, defaults to `1.0`): Share of the aim against the truth, in (0, 1].
        pattern (`str`, *optional*): A regular expression: only where it is found in the prompt.
        supervisor (`Mapping` or `str`, *optional*, defaults to `"model"`): The other supervisor, as a method names one.

    Raises:
        OptionError: A strength out of range, or no regular expression.
    """

    strength: float = 1.0
    pattern: str | None = None
    supervisor: Mapping[str, Any] | str = field(default="model", hash=False, metadata={"component": "supervisors"})

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wrong = {}
        if not 0 < self.strength <= 1:
            wrong["strength"] = f"is {self.strength}; use a share above 0, at most 1"
        if self.pattern is not None and (mistake := pattern_mistake(self.pattern)) is not None:
            wrong["pattern"] = mistake
        if wrong:
            raise OptionError("opposed", wrong)

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Label with the other supervisor, then draw the labels; what it holds itself is judged as the other one is."""
        supervision = options.build("supervisors", self.supervisor).supervise(route, seed, method)

        # Of every split: a student is chosen and stopped by labels of the validation split, which must have the same
        # aim.
        @functools.cache
        def label(split: str) -> Labels:
            examples, given = route.examples(split), supervision.label(split)
            drawn = Oppose(
                runs=route.runs,
                examples=examples,
                labels=given,
                strength=self.strength,
                pattern=self.pattern,
                seed=seed,
            )
            return drawn.weak_labels

        return Supervision(label, supervision.judged, supervision.model)
