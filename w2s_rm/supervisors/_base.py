"""What a supervisor is: it says which stages make the labels, and what the labels are judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from w2s_rm.stages import Labels, Model, Stage

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Supervision:
    """What a supervisor gives for one seed.

    Args:
        label (`Callable[[str], Labels]`): Plans the labels of a split; those of `relabel` are what students train on.
        judged (`tuple[Stage, ...]`, *optional*): Stages that score the test split as the supervisor does, if it can.
        model ([`~w2s_rm.stages.Model`], *optional*): The supervisor itself, where it is one model.
    """

    label: Callable[[str], Labels]
    judged: tuple[Stage, ...] = ()
    model: Model | None = None


class Supervisor(Protocol):
    """A frozen dataclass in `supervisors/<name>.py` whose fields are its recipe options."""

    needs_truth: ClassVar[bool]
    """Whether examples must have a ground truth."""

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Plan the stages that label the examples.

        Args:
            route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
            seed (`int`): The repetition.
            method (`str`, *optional*): The method that has the supervisor for itself.

        Raises:
            ConfigError: The recipe has no such models, or not enough data.
        """
        ...
