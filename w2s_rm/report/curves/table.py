"""The rows about trainings: one for each role, method and evaluation of each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.agreement import Agreement, agreement, mean_agreement
from w2s_rm.report.curves.read import Curve, curve_of
from w2s_rm.report.curves.rows import CurveRow
from w2s_rm.report.fields import credits_of
from w2s_rm.report.rows import ReportRow
from w2s_rm.roles import STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import PlannedStage, Run, read_run
from w2s_rm.types import Predictions


def collect_curves(run_dir: Path, rows: Sequence[ReportRow]) -> list[CurveRow]:
    """Compute the rows about the trainings of one run: weak, students in the recipe's order, ceilings.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        rows (`Sequence[ReportRow]`): What [`~w2s_rm.report.table.collect`] returned for it.

    Returns:
        `list[CurveRow]`: Empty for a run that evaluated nothing on the way.

    Raises:
        ArtifactError: The run is not finished, its files are broken, or seeds have different numbers of evaluations.
    """
    run = read_run(run_dir)
    trainings: dict[tuple[str, str | None], list[CurveRow]] = {}
    for of in TRAINED:
        for row in rows:
            stages = run.find_all("evaluate", of, row.method)
            # What methods share stands once.
            if stages and (of, stages[0].method) not in trainings:
                trainings[of, stages[0].method] = list(_of_training(run, row, of, stages))
    return [row for trained in trainings.values() for row in trained]


def _of_training(run: Run, row: ReportRow, of: str, stages: Sequence[PlannedStage]) -> Iterator[CurveRow]:
    curves = [curve for stage in stages if (curve := curve_of(stage)) is not None]
    if len(curves) < len(stages):
        return
    # Means over seeds are taken evaluation by evaluation; steps may differ where seeds keep other numbers of labels.
    if len({len(curve.steps) for curve in curves}) > 1:
        raise ArtifactError(
            f"run {run.recipe!r}, {of}: its seeds were evaluated a different number of times; run the recipe again"
        )
    # A supervisor that labels only some of the test examples cannot be compared with.
    supervised = of == STUDENT and row.agreement is not None
    weak = run.find_all("evaluate", WEAK, row.method) if supervised else []
    supervisors = [read_predictions(stage.folder / "predictions.parquet") for stage in weak]
    for evaluation in range(len(curves[0].steps)):
        steps = tuple(curve.steps[evaluation] for curve in curves)
        yield CurveRow(
            recipe=run.recipe,
            setting=run.setting,
            task=run.task,
            of=of,
            method=stages[0].method,
            seeds=run.seeds,
            evaluation=evaluation,
            steps=steps,
            share=float(np.mean([step / curve.steps[-1] for step, curve in zip(steps, curves, strict=True)])),
            **_accuracy([curve.test[evaluation].predictions for curve in curves]),
            **_validation(curves, evaluation),
            **_agreement([curve.test[evaluation].predictions for curve in curves], supervisors),
            stopped=sum(curve.stopped == evaluation for curve in curves),
            best=sum(curve.best == evaluation for curve in curves),
        )


def _accuracy(predictions: Sequence[Predictions]) -> dict[str, Any]:
    # Under any name: credits are kept by model, and here is one.
    credits = credits_of({STUDENT: predictions})
    interval = credits.accuracy(STUDENT)
    if interval is None:
        return {"n_scored": 0, **dict.fromkeys(("test_accuracy", "test_low", "test_high"))}
    ends = {"test_accuracy": interval.value, "test_low": interval.low, "test_high": interval.high}
    return {"n_scored": credits[STUDENT].shape[1], **ends}


def _validation(curves: Sequence[Curve], place: int) -> dict[str, Any]:
    # Without labels `stopping` is accuracy, which has a column of its own.
    labelled = all(part.labels is not None for curve in curves for part in curve.validation)
    truth = [curve.truth[place] for curve in curves if curve.validation]
    return {
        "validation_accuracy": _mean(truth),
        "validation_agreement": _mean([curve.stopping[place] for curve in curves if curve.validation and labelled]),
    }


def _agreement(predictions: Sequence[Predictions], supervisors: Sequence[Predictions]) -> dict[str, Any]:
    pairs = zip(predictions, supervisors, strict=True) if supervisors else ()
    per_seed = [agreement(student, weak) for student, weak in pairs]
    mean = mean_agreement(per_seed) if per_seed else Agreement(0.0, None, None)
    return {
        "agreement": mean.overall if per_seed else None,
        "agreement_when_right": mean.when_right,
        "agreement_when_wrong": mean.when_wrong,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
