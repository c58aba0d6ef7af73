"""What a run left for hypotheses: accuracies, gaps and agreement, as numbers that can be put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.agreement import imitated
from w2s_rm.metrics.deception import Deception, deception
from w2s_rm.metrics.discrimination import area_under_roc
from w2s_rm.metrics.forecasts import forecasts
from w2s_rm.metrics.pairing import aligned, paired_correctness, with_gold
from w2s_rm.metrics.quantities import Quantity, mean_of, share_of
from w2s_rm.report.curves.read import Curve, curve_of
from w2s_rm.report.table import judged_by_labels, reading_once
from w2s_rm.roles import CEILING, STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import read_run
from w2s_rm.types import Predictions


class Results:
    """What a finished run left, each file read when it is asked for.

    Args:
        folder (`Path`): The run's folder, `runs/<recipe>`.
    """

    def __init__(self, folder: Path) -> None:
        self.run = read_run(folder)
        self._curve = cache(curve_of)
        self._read = reading_once(self._curve)

    def accuracy(self, of: str, method: str, further: str | None = None) -> Quantity:
        """Return the accuracy of a model on the test split.

        Args:
            of (`str`): A word of [`w2s_rm.roles`].
            method (`str`): The method.
            further (`str`, *optional*): The label of a further task; by default the run's own.

        Raises:
            ArtifactError: The run did not evaluate it, or has no ground truth.
        """
        return accuracy(self._said(of, method, further))

    def pgr(self, method: str) -> Quantity:
        """Return the performance gap recovered; not sure where the gap is not told from zero.

        Args:
            method (`str`): The method.
        """
        weak, student, ceiling = (self.accuracy(of, method) for of in (WEAK, STUDENT, CEILING))
        # As quantities: the supervisor stands above and below the line, and its errors are paired.
        return student.minus(weak).over(ceiling.minus(weak))

    def imitation(self, method: str) -> Quantity:
        """Return the share of its supervisor's mistakes that a student makes too, as the supervisor made them.

        Args:
            method (`str`): The method.

        Raises:
            DataError: The supervisor of a seed made none.
        """
        students, supervisors = (list(map(with_gold, self._said(of, method))) for of in (STUDENT, WEAK))
        wrong, same = zip(*map(imitated, students, supervisors), strict=True)
        # A share within each seed, then their mean: one ratio over all seeds would count seeds by how often their
        # supervisor errs.
        return share_of(np.stack(same), np.stack(wrong), _groups(students[0]))

    def tells_mistakes(self, method: str) -> bool:
        """Whether it was looked for the supervisor's mistakes, and it is right and wrong on some test examples."""
        if not self.run.find_all("saliency", WEAK, method):
            return False
        wrong_SN, _ = self._mistakes(method)
        # An area under the ROC needs both kinds, with every seed.
        return bool((wrong_SN.any(axis=1) & ~wrong_SN.all(axis=1)).all())

    def saliency(self, method: str) -> Quantity:
        """Return how well the strong model's hidden states tell where the supervisor is wrong: an area under the ROC.

        Args:
            method (`str`): The method.

        Raises:
            ArtifactError: The run did not look for mistakes.
            DataError: With one of the seeds all or none of the test examples are mistakes.
        """
        stages = self.run.find_all("saliency", WEAK, method)
        if not stages:
            raise ArtifactError(
                f"run {self.run.recipe!r}, method {method!r}: it was not looked for its supervisor's mistakes; set "
                "`saliency`"
            )
        wrong_SN, known = self._mistakes(method)
        ids = known[0].ids
        files = [read_predictions(stage.folder / "predictions.parquet") for stage in stages]
        # All test examples were scored, also those without truth.
        said = [aligned(_only(predictions, ids), ids, name="saliency") for predictions in files]
        # The classes of the linear model are right and wrong, in this order (`programs/saliency.py`).
        scores_SN = np.array([[wrong - right for right, wrong in predictions.scores] for predictions in said])
        return area_under_roc(scores_SN, wrong_SN, _groups(known[0]))

    def doubt(self, method: str) -> Quantity:
        """Return how well the supervisor's own confidence tells where it is wrong: an area under the ROC.

        Args:
            method (`str`): The method.

        Raises:
            DataError: With one of the seeds all or none of the test examples are mistakes.
        """
        wrong_SN, known = self._mistakes(method)
        # A file of labels holds probabilities, models give scores.
        written = bool(judged_by_labels(self.run, method))
        confidence_SN = np.array(
            [forecasts(one.scores, one.gold, one.ids, probabilities=written).confidence_B for one in known]
        )
        # Turned around: the less confidence, the more doubt.
        return area_under_roc(-confidence_SN, wrong_SN, _groups(known[0]))

    def _mistakes(self, method: str) -> tuple[NDArray[np.bool_], list[Predictions]]:
        """Which test examples the supervisor gets wrong, a row for each seed, and what it says, in the same order."""
        known = [with_gold(predictions) for predictions in self._said(WEAK, method)]
        known = [aligned(predictions, known[0].ids, name="supervisor") for predictions in known]
        # A tie of two, with the right one in it, is no mistake; one of three or more is.
        return paired_correctness({WEAK: known})[WEAK] < 0.5, known

    def deception(self, method: str, beside: str) -> Deception:
        """Return what a conflicting aim cost the students of a method, and where.

        Args:
            method (`str`): The method with the conflict.
            beside (`str`): The method without.
        """
        # Supervisor and ceiling are those of the method without the conflict: what they know must not depend on it.
        said = {of: self._said(of, beside) for of in TRAINED} | {method: self._said(STUDENT, method)}
        models = {of: list(map(with_gold, by_seed)) for of, by_seed in said.items()}
        credits = paired_correctness(models)
        weak, ceiling, plain = (credits[of] for of in (WEAK, CEILING, STUDENT))
        return deception(weak, ceiling, plain, credits[method], _groups(models[WEAK][0]))

    def curves(self, method: str) -> list[Curve]:
        """Return how a method's students came about, one for each seed.

        Args:
            method (`str`): The method.

        Raises:
            ArtifactError: They were not evaluated on their way.
        """
        found = [self._curve(stage) for stage in self.run.find_all("evaluate", STUDENT, method)]
        curves = [curve for curve in found if curve is not None]
        if len(curves) < len(found):
            raise ArtifactError(
                f"run {self.run.recipe!r}, method {method!r}: its students were not evaluated on their way; set "
                "train.evaluations"
            )
        return curves

    def _said(self, of: str, method: str, further: str | None = None) -> list[Predictions]:
        stages = self.run.find_all("evaluate", of, method, further=further)
        if not stages:
            raise ArtifactError(
                f"run {self.run.recipe!r}, method {method!r}: no {of} was evaluated; a hypothesis about it needs "
                "another head, or a task with ground truth"
            )
        return [self._read(stage) for stage in stages]


def accuracy(said: Sequence[Predictions]) -> Quantity:
    """Return the accuracy of models on the examples with ground truth.

    Args:
        said (`Sequence[Predictions]`): What the model of each seed says.
    """
    known = [with_gold(predictions) for predictions in said]
    # Pairing brings all seeds into the order of the first, whose groups are those of the columns.
    return mean_of(paired_correctness({"model": known})["model"], _groups(known[0]))


def _only(predictions: Predictions, ids: Sequence[str]) -> Predictions:
    """What is said of some of the examples."""
    wanted = set(ids)
    rows = [row for row, name in enumerate(predictions.ids) if name in wanted]
    return Predictions(
        *(tuple(getattr(predictions, part)[row] for row in rows) for part in ("ids", "scores", "gold")),
    )


def _groups(predictions: Predictions) -> Sequence[str]:
    # Without groups each example is one, under its own name.
    return predictions.ids if predictions.groups is None else predictions.groups
