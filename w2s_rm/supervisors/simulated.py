"""A supervisor that is no model: right as often, and wrong where, as it is told."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.simulating import FEATURES, KINDS, pattern_mistake
from w2s_rm.errors import ConfigError, OptionError, nearest
from w2s_rm.roles import INTERMEDIATE, WEAK
from w2s_rm.stages import Labels
from w2s_rm.stages.simulate import Simulate
from w2s_rm.supervisors._base import Supervision

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route

_OF_A_MODEL = ("hard", "adversarial")


@dataclass(frozen=True)
class Simulated:
    """Labels with exactly as many errors as are asked for; [`~w2s_rm.data.simulating.simulate`] says where they lie.

    Args:
        accuracy (`float`): Share of right labels, in [0, 1].
        errors (`str`, *optional*, defaults to `"random"`): `random`, `clustered`, `systematic`, `hard` or
            `adversarial`.
        confidence (`float`, *optional*): Probability of the candidate that it names; by default `accuracy`.
        feature (`str`, *optional*): Of systematic errors: `length`, or `position` in the task's table.
        pattern (`str`, *optional*): Of clustered errors: a regular expression for the words by which they go, such as
            `"E\\d+"`, the entities of the embedded world, or `"(?:up|down)_\\w+"`, its wordings.
        model (`str`, *optional*, defaults to `"weak"`): Of hard and adversarial errors: the part of the recipe that
            describes the model which, trained on the truth, tells hard examples from easy ones.

    Raises:
        OptionError: A number out of range, or an unknown kind of error or feature.
    """

    accuracy: float
    errors: str = "random"
    confidence: float | None = None
    feature: str | None = None
    pattern: str | None = None
    model: str = WEAK

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wrong = {}
        if not 0 <= self.accuracy <= 1:
            wrong["accuracy"] = f"is {self.accuracy}; use a share from 0 to 1"
        if self.confidence is not None and not 0 < self.confidence <= 1:
            wrong["confidence"] = f"is {self.confidence}; use a probability above 0, at most 1"
        if self.errors not in KINDS:
            wrong["errors"] = f"is {self.errors!r}; {nearest(self.errors, KINDS)}"
        elif self.model != WEAK and self.errors not in _OF_A_MODEL:
            wrong["model"] = f"goes with errors: {' or '.join(_OF_A_MODEL)}, and errors is {self.errors}"
        if self.feature is not None and self.feature not in FEATURES:
            wrong["feature"] = f"is {self.feature!r}; {nearest(self.feature, FEATURES)}"
        # What goes with an unknown kind cannot be told.
        elif self.errors in KINDS and (self.errors == "systematic") != (self.feature is not None):
            wrong["feature"] = "goes with errors: systematic, which needs it"
        if self.pattern is not None and (mistake := pattern_mistake(self.pattern)) is not None:
            wrong["pattern"] = mistake
        elif self.errors in KINDS and (self.errors == "clustered") != (self.pattern is not None):
            wrong["pattern"] = "goes with errors: clustered, which needs it"
        if wrong:
            raise OptionError("simulated", wrong)

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Label with the truth, but for the errors."""
        self._check_confidence(route.encoding["classes"])
        judge = None
        if self.errors in _OF_A_MODEL:
            # It supervises nobody: what it finds hard is all that is asked of it.
            judge = route.train(INTERMEDIATE, seed, part=self.model, method=method, note="tells hard examples").model

        @functools.cache
        def label(split: str) -> Labels:
            return Simulate(
                runs=route.runs,
                examples=route.examples(split),
                accuracy=self.accuracy,
                errors=self.errors,
                confidence=self.confidence,
                feature=self.feature,
                pattern=self.pattern,
                # Of the same split, for difficulty is looked up by the id of what is labelled.
                difficulty=None if judge is None else route.relabel(judge, split, part=self.model, seed=seed),
                task=route.prepared.task if self.feature == "position" else None,
                seed=seed,
            ).weak_labels

        # There is no model to score the test split, but labels of it.
        return Supervision(label, (route.evaluate_labels(label("test"), seed=seed, method=method),))

    def _check_confidence(self, classes: list[str] | None) -> None:
        """Refuse labels that do not name a candidate; how many exchangeable candidates there are, only data tell."""
        confidence = self.accuracy if self.confidence is None else self.confidence
        least = 0 if classes is None else 1 / len(classes)
        if not confidence > least:
            option = "accuracy, which stands for confidence," if self.confidence is None else "confidence"
            raise ConfigError(
                f"{option} is {confidence:g}, and the candidate that a label names would not be the most probable one; "
                f"give a confidence above {least:g}"
            )
