"""Several weak models, and one label made of what they say."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.combining import WAYS
from w2s_rm.errors import ConfigError, OptionError, nearest
from w2s_rm.roles import INTERMEDIATE, WEAK
from w2s_rm.stages import Labels, Model
from w2s_rm.stages.combine import Combine
from w2s_rm.stages.portion import Portion
from w2s_rm.supervisors._base import Supervision
from w2s_rm.types import content_hash

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Ensemble:
    """Models that differ in one of three ways.

    They are different models, or one model with different seeds, or one model that is trained on its split without one
    of several folds, each time another.

    Args:
        models (`list[str]`, *optional*): Parts of the recipe: `weak`, and names of its `models`.
        seeds (`int`, *optional*): How many seeds of the weak model.
        folds (`int`, *optional*): How many folds of the weak model's split.
        how (`str`, *optional*, defaults to `"mean_log_odds"`): How labels are combined: a way of
            [`~w2s_rm.data.combining.combine`].

    Raises:
        OptionError: Not one of the three, fewer than two members, or an unknown way.
    """

    models: list[str] | None = field(default=None, hash=False)
    seeds: int | None = None
    folds: int | None = None
    how: str = "mean_log_odds"

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        n_models = None if self.models is None else len(self.models)
        sizes = {"models": n_models, "seeds": self.seeds, "folds": self.folds}
        chosen = {name: size for name, size in sizes.items() if size is not None}
        few = {name: max(size, 0) for name, size in chosen.items() if size < 2}
        wrong = {name: f"gives {size} members; an ensemble has two or more" for name, size in few.items()}
        if len(chosen) != 1:
            wrong["models"] = f"give one of models, seeds and folds{', not ' + ' and '.join(chosen) if chosen else ''}"
        elif self.models is not None and len(set(self.models)) < len(self.models):
            wrong["models"] = f"repeats a model ({', '.join(self.models)}); for seeds of one model give seeds"
        if self.how not in WAYS:
            wrong["how"] = f"is {self.how!r}; {nearest(self.how, WAYS)}"
        if wrong:
            raise OptionError("ensemble", wrong)

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Train the members, label with each, and combine."""
        members = list(self._members(route, seed, method))
        by_identity: dict[str, str] = {}
        for part, note, model in members:
            same = by_identity.setdefault(model.identity, note)
            if same != note:
                raise ConfigError(
                    f"ensemble: {same} and {note} are one model, trained alike, and always agree; change one of them, "
                    f"such as {part}'s size or data, or leave it out"
                )

        # Asked for again by whoever reads the split: the same stage, which has its hash already.
        @functools.cache
        def label(split: str) -> Labels:
            said = [route.relabel(model, split, part=part, seed=seed, note=note) for part, note, model in members]
            examples = route.examples(split)
            combined = Combine(runs=route.runs, examples=examples, members=tuple(said), how=self.how, seed=seed)
            return combined.weak_labels

        # No model is judged, but labels: what the members say together is in no single one.
        return Supervision(label, (route.evaluate_labels(label("test"), seed=seed, method=method),))

    def _members(self, route: Route, seed: int, method: str | None) -> Iterator[tuple[str, str, Model]]:
        """Part of the recipe, a word for titles, and the trained model of each."""
        # One of the three is given, and the other two loops have nothing to go over.
        for part in self.models or ():
            yield part, part, route.train(INTERMEDIATE, seed, part=part, method=method, note=part).model
        for number in range(self.seeds or 0):
            # The first member is the supervisor of the methods that have the weak model alone.
            # A hash and not a sum, which would be the seed of another repetition.
            member_seed = seed if number == 0 else int(content_hash("ensemble", seed, number, length=8), 16)
            yield (
                WEAK,
                f"member {number}",
                route.train(INTERMEDIATE, member_seed, method=method, note=f"member {number}").model,
            )
        if self.folds is not None:
            route.check_parts(self.folds, 2, "an ensemble of folds", "take fewer folds")
        for number in range(self.folds or 0):
            fold = Portion(
                runs=route.runs, examples=route.examples("weak"), number=number, parts=self.folds or 0, without=True
            )
            note = f"without fold {number}"
            yield WEAK, note, route.train(INTERMEDIATE, seed, method=method, examples=fold.taken, note=note).model
