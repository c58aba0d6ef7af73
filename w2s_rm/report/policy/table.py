"""The rows about policies: one for each trainer and method of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.pairing import check_same_ids
from w2s_rm.metrics.pgr import gap_recovered
from w2s_rm.report.fields import Credits, accuracy_fields, credits_of, interval_fields, pgr_fields
from w2s_rm.report.policy.read import PolicyResult, read_policy
from w2s_rm.report.policy.rows import CurvePoint, Optimised, PolicyRow, PolicySeed
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.table import Read as ReadPredictions
from w2s_rm.report.table import read_models, reading_once
from w2s_rm.roles import STUDENT, TRAINED
from w2s_rm.runs.plan import PlannedStage, Run, read_run

Read = Callable[[PlannedStage], PolicyResult]


def collect_policies(run_dir: Path, rows: Sequence[ReportRow]) -> list[PolicyRow]:
    """Compute the rows about the policies of one run: trainers in the recipe's order, for each its methods.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        rows (`Sequence[ReportRow]`): What [`~w2s_rm.report.table.collect`] returned for it.

    Returns:
        `list[PolicyRow]`: Empty for a run without policies.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
        DataError: The policies were not all measured on the same test prompts.
    """
    run = read_run(run_dir)
    if run.policies is None:
        return []
    # Those of supervisor and ceiling are asked for with each method.
    read = cache(read_policy)
    measured = {
        (trainer, row.method): _measured(run, trainer, row.method, read)
        for trainer in run.policies.methods
        for row in rows
    }
    stages = [stage for stage in run.stages if stage.stage == "policy"]
    for stage in stages:
        check_same_ids(read(stage).ids, read(stages[0]).ids, name=str(stage.folder / "policy.parquet"))
    # One starting policy for all, sampled by each stage anew: the mean is the better estimate.
    start = float(np.mean([read(stage).start_success for stage in stages]))
    # The models that policies were optimised against: where another one was saved, not those of the results.
    saved = reading_once(saved=True)
    rewards = {row.method: _reward_models(run, row.method, saved) for row in rows}
    return [
        _row(run, trainer, method, rewards[method], results, start) for (trainer, method), results in measured.items()
    ]


def _reward_models(run: Run, method: str, read: ReadPredictions) -> dict[str, Any]:
    """Accuracies and PGR of the reward models of a method."""
    credits = credits_of(read_models(run, method, read))
    accuracies, pgr = accuracy_fields(credits), pgr_fields(credits)
    ends = ("pgr", "pgr_low", "pgr_high", "reliable")
    return {
        **{name: accuracies[name] for name in (f"{of}_accuracy" for of in TRAINED)},
        **{f"reward_model_{name}": pgr[name] for name in ends},
    }


def _measured(run: Run, trainer: str, method: str, read: Read) -> dict[str, list[PolicyResult]]:
    """The policies optimised against each kind of reward model, one for each seed; kinds without any are left out."""
    planned = {of: run.find_all("policy", of, method, trainer) for of in TRAINED}
    return {of: [read(stage) for stage in stages] for of, stages in planned.items() if stages}


def _row(
    run: Run,
    trainer: str,
    method: str,
    reward_models: Mapping[str, Any],
    measured: Mapping[str, list[PolicyResult]],
    start: float,
) -> PolicyRow:
    # For the type checker: runs without policies have no rows.
    assert run.policies is not None
    credits = _credits(measured)
    return PolicyRow(
        recipe=run.recipe,
        setting=run.setting,
        task=run.task,
        supervisor=run.supervisor,
        policy_model=run.policies.model,
        trainer=trainer,
        method=method,
        seeds=run.seeds,
        n_test=credits[STUDENT].shape[1],
        n_samples=run.policies.samples,
        **reward_models,
        start_success=start,
        **interval_fields(credits, {of: (f"{of}_success",) * 2 for of in TRAINED}),
        **{f"policy_{name}": value for name, value in pgr_fields(credits).items()},
        optimised=tuple(_optimised(of, results) for of, results in measured.items()),
        per_seed=tuple(_seed(seed, index, credits) for index, seed in enumerate(run.seeds)),
    )


def _credits(measured: Mapping[str, list[PolicyResult]]) -> Credits:
    """Success rates of shape `(S, N)`, prompts in the order of the student's first seed."""
    # Intervals are paired by prompt, in whatever order each stage wrote them.
    ids = measured[STUDENT][0].ids
    # Without groups: a stage keeps prompts by id, and each counts as a draw of its own.
    return Credits({of: np.stack([_in_order(result, ids) for result in results]) for of, results in measured.items()})


def _in_order(result: PolicyResult, ids: Sequence[str]) -> Floats:
    index_of = {id_: index for index, id_ in enumerate(result.ids)}
    return result.success[[index_of[id_] for id_ in ids]]


def _optimised(of: str, results: Sequence[PolicyResult]) -> Optimised:
    curves = tuple(result.curve for result in results)
    curve = mean_curve(curves)
    # `max` takes the first of equals: the least training that gets there.
    peak = max(curve, key=lambda point: point.success)
    return Optimised(
        of=of,
        kl=float(np.mean([result.kl.mean() for result in results])),
        reward=float(np.mean([result.reward.mean() for result in results])),
        peak=peak,
        lost=peak.success - curve[-1].success,
        curve=curve,
        seed_curves=curves,
    )


def mean_curve(curves: Sequence[Sequence[CurvePoint]]) -> tuple[CurvePoint, ...]:
    """Average curves over seeds at the steps that all of them measured, then the ends, which may differ in step.

    Seeds can differ in length where the number of training rows depends on what was sampled, as with preference pairs.

    Args:
        curves (`Sequence[Sequence[CurvePoint]]`): A curve for each seed, steps growing from 0.
    """
    by_step = [{point.step: point for point in curve} for curve in curves]
    # From the first end on there is the mean of the ends alone: a seed that has ended has nothing to add to a later
    # step.
    first_end = min(curve[-1].step for curve in curves)
    shared = sorted(step for step in set.intersection(*map(set, by_step)) if step < first_end)
    points = [_mean([curve[step] for curve in by_step]) for step in shared]
    return (*points, _mean([curve[-1] for curve in curves]))


def _mean(points: Sequence[CurvePoint]) -> CurvePoint:
    return CurvePoint(
        step=round(float(np.mean([point.step for point in points]))),
        kl=float(np.mean([point.kl for point in points])),
        reward=float(np.mean([point.reward for point in points])),
        success=float(np.mean([point.success for point in points])),
    )


def _seed(seed: int, index: int, credits: Mapping[str, Floats]) -> PolicySeed:
    weak, student, ceiling = (float(credits[of][index].mean()) if of in credits else None for of in TRAINED)
    assert student is not None
    if weak is None or ceiling is None:
        return PolicySeed(seed, weak, student, ceiling, None)
    return PolicySeed(seed, weak, student, ceiling, gap_recovered(weak, student, ceiling))
