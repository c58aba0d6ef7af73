"""What a preparation is: it puts stages before a training, or changes the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from w2s_rm.stages.train import Train

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


class Preparation(Protocol):
    """A frozen dataclass in `preparations/<name>.py` whose fields are its recipe options.

    A field with training options of its own says whose they are: its metadata has a `trainer`, `reward` or
    `language_model`.
    """

    def prepare(self, route: Route, training: Train) -> Train:
        """Return the training that is prepared. Pure.

        Args:
            route ([`~w2s_rm.experiment.route.Route`]): Builds stages of the recipe.
            training ([`~w2s_rm.stages.train.Train`]): A training of a student or a ceiling.

        Raises:
            ConfigError: The model cannot be prepared so.
        """
        ...
