"""Read what a training scored on its way, by the evaluation of the model that came out of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from w2s_rm.data.curves import CURVE_FILE, TEST, VALIDATION, CurvePart, read_curve
from w2s_rm.data.examples import read_truth
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.files import parse_yaml
from w2s_rm.metrics.stopping import earliest_best, stopping_credits
from w2s_rm.report.card_facts import training_of
from w2s_rm.report.scored import examples_of, grouped
from w2s_rm.runs.places import beside
from w2s_rm.runs.plan import PlannedStage
from w2s_rm.types import END, Predictions


@dataclass(frozen=True)
class Curve:
    """The models of one training, from the start to the end.

    Args:
        test (`tuple[CurvePart, ...]`): What each said of the test split.
        validation (`tuple[CurvePart, ...]`): And of the validation split; empty without one.
        keep (`str`): Which of them the training saved: `end` or `weak_validation`.
    """

    test: tuple[CurvePart, ...]
    validation: tuple[CurvePart, ...]
    keep: str

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of training before each."""
        return tuple(part.step for part in self.test)

    @property
    def end(self) -> Predictions:
        """What the last one said of the test split."""
        return self.test[-1].predictions

    @cached_property
    def truth(self) -> tuple[float | None, ...]:
        """Accuracy of each on the validation split; `None` without truth, empty without a validation split."""
        return _means(self.validation, labelled=False)

    @cached_property
    def stopping(self) -> tuple[float | None, ...]:
        """What each is worth by the rule that stops a training: agreement with the supervisor's labels, or truth."""
        return _means(self.validation, labelled=True)

    @cached_property
    def stopped(self) -> int | None:
        """Place of the one at which the validation split says to stop; `None` where it says nothing."""
        return _best(self.stopping)

    @cached_property
    def best(self) -> int | None:
        """Place of the one that is best by the truth of the test split, which nobody may know."""
        return _best(_means(self.test, labelled=False))


def _means(parts: Sequence[CurvePart], *, labelled: bool) -> tuple[float | None, ...]:
    # Models that are trained on the truth have no labels: truth is then what stops them.
    credits = [
        stopping_credits(part.predictions.scores, part.predictions.gold, part.labels if labelled else None)
        for part in parts
    ]
    return tuple(float(credits_B.mean()) if len(credits_B) else None for credits_B in credits)


def _best(values: Sequence[float | None]) -> int | None:
    # Each evaluation scores the same examples, so truth is known for all of them or for none: a place among those that
    # are known is one among all.
    known = [value for value in values if value is not None]
    return earliest_best(known) if known else None


def curve_of(evaluation: PlannedStage) -> Curve | None:
    """Return the curve of the training whose model a stage evaluated; `None` where none was scored on its way.

    Args:
        evaluation ([`~w2s_rm.runs.plan.PlannedStage`]): An evaluation.

    Raises:
        ArtifactError: The curve is broken, or of no test examples.
    """
    model = _config(evaluation.folder).get("model_name_or_path")
    if model is None:
        # Labels were judged, and no model.
        return None
    folder = training_of(beside(evaluation.folder, Path(model).parent))
    path = folder / CURVE_FILE
    if not path.is_file():
        return None
    parts = read_curve(path)
    test, validation = (tuple(part for part in parts if part.split == split) for split in (TEST, VALIDATION))
    # A place in one of the two stands for the same model in the other.
    if not test or (validation and [part.step for part in validation] != [part.step for part in test]):
        raise ArtifactError(f"{path}: is not whole; delete the folder and run the recipe again")
    if (examples := examples_of(evaluation)) is not None:
        truth = read_truth(examples)
        test = tuple(dataclasses.replace(part, predictions=grouped(part.predictions, truth)) for part in test)
    return Curve(test, validation, _config(folder).get("keep", END))


def at_the_end(evaluation: PlannedStage, curve: Curve | None) -> Predictions:
    """Return what a model said of the test split at the end of its training, also where another one was saved.

    Args:
        evaluation ([`~w2s_rm.runs.plan.PlannedStage`]): The evaluation of the saved model.
        curve ([`Curve`], *optional*): What [`curve_of`] returned for it.
    """
    # What was saved is the model of the end, which the evaluation itself has scored.
    if curve is None or curve.keep == END:
        return read_predictions(evaluation.folder / "predictions.parquet")
    return curve.end


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    return dict(parse_yaml(path.read_text(encoding="utf-8"))) if path.is_file() else {}
