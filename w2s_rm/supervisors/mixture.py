"""Another supervisor, and the truth of a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm import options
from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.stages import Labels
from w2s_rm.stages.mix import Mix
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Mixture:
    """A supervisor whose labels are replaced by the truth for a number of examples: what a few expert labels are worth.

    Args:
        n_true (`int`): How many examples have true labels.
        supervisor (`Mapping` or `str`, *optional*, defaults to `"model"`): The other supervisor, as a method names one.

    Raises:
        OptionError: No true labels.
    """

    n_true: int
    supervisor: Mapping[str, Any] | str = field(default="model", hash=False, metadata={"component": "supervisors"})

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n_true < 1:
            raise OptionError("mixture", {"n_true": f"is {self.n_true}; use 1 or more"})

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Label with the other supervisor, then put in the truth; it is judged as the other one is."""
        supervision = options.build("supervisors", self.supervisor).supervise(route, seed, method)
        labelled = route.n_relabelled
        if labelled is not None and self.n_true > labelled:
            raise ConfigError(
                f"mixture: n_true: is {self.n_true}, and students are trained on {labelled} examples; use fewer, or "
                "raise n_train"
            )

        def label(split: str) -> Labels:
            labels = supervision.label(split)
            # With truth among its labels of other splits, the supervisor would look better than it is.
            if split != "relabel":
                return labels
            mixed = Mix(runs=route.runs, examples=route.examples(split), labels=labels, n_true=self.n_true, seed=seed)
            return mixed.weak_labels

        return Supervision(label, supervision.judged, supervision.model)
