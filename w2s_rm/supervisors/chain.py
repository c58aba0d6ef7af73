"""Bootstrapping: models from small to large, each labels what the next one is trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.roles import INTERMEDIATE, WEAK
from w2s_rm.stages import Examples
from w2s_rm.stages.portion import Portion
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Chain:
    """The weak model, then models that grow up to the student; the last of them labels what students are trained on.

    With `fresh`, the weak split is divided among the models, by a hash of the group: the weak model is trained on the
    truth of the first part, each later one on the part that follows, labelled by the one before. So no model labels
    what it was trained on. Otherwise the weak model has its whole split, and each later one is trained on the examples
    that students are trained on.

    Source: Burns et al. 2023 (arXiv 2312.09390), bootstrapping.

    Args:
        models (`list[str]`): Names of the recipe's `models`, from small to large, all larger than the weak model and
            none larger than the strong one.
        fresh (`bool`, *optional*, defaults to `True`): Whether each model has examples of its own.

    Raises:
        OptionError: No models, or one twice.
    """

    models: list[str] = field(hash=False)
    fresh: bool = True

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.models:
            text = "is empty; name one or more of the recipe's models, or use the supervisor model"
            raise OptionError("chain", {"models": text})
        links = [WEAK, *self.models]
        if len(set(links)) < len(links):
            text = f"repeats one in {' -> '.join(links)}; a chain begins with {WEAK}, and each one after is larger"
            raise OptionError("chain", {"models": text})

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Train each model on what the one before says."""
        links = [WEAK, *self.models]
        self._check_sizes(route, links)
        if self.fresh:
            # A part that does not fill a batch would not make a whole step.
            largest = max(route.batch_size(link) for link in links)
            route.check_parts(len(links), largest, "a chain", "set fresh: false")
        parts = [self._part(route, number, len(links)) for number in range(len(links))]
        first = parts[0] if self.fresh else None
        # An intermediate: the report's weak model is the last of the chain, which supervises.
        model = route.train(INTERMEDIATE, seed, method=method, examples=first, note=WEAK).model
        part = WEAK
        for number, name in enumerate(self.models, start=1):
            examples = parts[number] if self.fresh else route.examples("relabel")
            labels = route.relabel(model, examples=examples, part=part, seed=seed, note=f"for {name}")
            # Where the next model is chosen among several, it is by what its supervisor says, and not by the truth.
            validation = route.relabel(model, "validation", part=part, seed=seed, note=f"for {name}")
            part = name
            # Only the last of them supervises the students, and is judged as a supervisor.
            of = WEAK if name == self.models[-1] else INTERMEDIATE
            trained = route.train(
                of, seed, part=part, method=method, examples=examples, labels=labels, validation=validation, note=name
            )
            model = trained.model
        judged = route.evaluate(WEAK, model, part=part, seed=seed, method=method)
        return Supervision(lambda split: route.relabel(model, split, part=part, seed=seed, note=part), (judged,), model)

    def _part(self, route: Route, number: int, parts: int) -> Examples:
        return Portion(runs=route.runs, examples=route.examples("weak"), number=number, parts=parts).taken

    def _check_sizes(self, route: Route, links: list[str]) -> None:
        # Of what is only on a hub the size is not known, and it is left out.
        sizes = {name: size for name in [*links, "strong"] if (size := route.size(name)) is not None}
        names = list(sizes)
        for small, large in zip(names, names[1:], strict=False):
            # The last one may be as large as the student: then it has labelled for itself.
            grows = sizes[small] < sizes[large] or (large == "strong" and sizes[small] == sizes[large])
            if not grows:
                raise ConfigError(
                    f"a chain grows from weak to strong, and {large} is no larger than {small} (layers x width²: "
                    f"{sizes[large]:,} after {sizes[small]:,}); put the models in order of size"
                )
