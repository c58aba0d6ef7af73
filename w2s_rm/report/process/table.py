"""The rows about processes: one for each method of a run and each measure.

Shape suffixes: B steps, C solutions, P problems, S seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from w2s_rm.data.examples import read_steps
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.pairing import aligned, with_gold
from w2s_rm.metrics.process import (
    REDUCTIONS,
    Choice,
    Solutions,
    chain_scores,
    choose,
    finds_first_mistake,
    margins,
    solutions_of,
)
from w2s_rm.report.fields import Credits, interval_ends, interval_fields, pgr_fields
from w2s_rm.report.process.rows import FOUND, ProcessRow
from w2s_rm.report.table import Read, judged_by_labels, read_models, reading_once
from w2s_rm.roles import STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import Run, read_run
from w2s_rm.types import Predictions, Step


def collect_process(run_dir: Path) -> list[ProcessRow]:
    """Compute the rows of one run: measures, and of each the methods in their order.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Returns:
        `list[ProcessRow]`: Nothing where the task has no steps, or its examples were not kept beside the results.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
        DataError: Models were scored on different test examples.
    """
    run, read = read_run(run_dir), reading_once()
    known = _steps(run)
    if not known:
        return []
    credits = {method: _credits(run, method, read, known) for method in run.methods}
    return [
        _row(run, method, measure, credits, chance)
        # Which measures there are depends on the test examples alone, so any method has them all.
        for measure, chance in credits[run.baseline][1].items()
        for method in run.methods
    ]


def _steps(run: Run) -> dict[str, Step]:
    """Where the test examples stand in solutions."""
    # Of the first seed: no draw moves the test split.
    prepared = run.find("prepare", None, None, run.seeds[0])
    path = None if prepared is None else prepared.folder / "examples" / "test.parquet"
    return {} if path is None or not path.is_file() else read_steps(path)


def _credits(
    run: Run, method: str, read: Read, known: Mapping[str, Step]
) -> tuple[dict[str, Credits], dict[str, float | None]]:
    """By measure the credits of all models, and what chance gets."""
    models = {of: per_seed for of, per_seed in read_models(run, method, read).items() if of in TRAINED}
    # Solutions are places in the order of these steps, into which the steps of all models are brought.
    first = with_gold(models[STUDENT][0])
    solutions = solutions_of(first.ids, known, first.groups or first.ids)
    if not solutions.steps:
        return {}, {}
    # A file of labels holds probabilities, models give logits.
    judged = bool(judged_by_labels(run, method))
    margins_of = {
        of: [_margins(said, first.ids, of, probabilities=of == WEAK and judged) for said in per_seed]
        for of, per_seed in models.items()
    }
    labels_B = np.array(first.gold, dtype=np.int64)
    found = {
        of: np.stack([finds_first_mistake(one_B, labels_B, solutions.steps) for one_B in per_seed])
        for of, per_seed in margins_of.items()
    }
    # Solutions of one problem are no draws of their own: problems are the groups.
    credits, chances = {FOUND: Credits(found, solutions.problems)}, dict[str, float | None]({FOUND: None})
    for reduction in REDUCTIONS:
        measure = f"right solution chosen, {reduction.replace('_', ' ')}"
        chosen = dict(_chosen(margins_of, solutions, reduction))
        # There must be a problem with right and with wrong solutions, or nothing is chosen.
        if next(iter(chosen.values())).size:
            # One credit for each problem, so that no groups are needed.
            credits[measure] = Credits(chosen)
            # By any model's scores: which problems leave a choice is a matter of the truth.
            chances[measure] = float(_choice(margins_of[STUDENT][0], solutions, reduction).chance_P.mean())
    return credits, chances


def _margins(said: Predictions, ids: Sequence[str], name: str, *, probabilities: bool) -> Floats:
    return margins(aligned(with_gold(said), ids, name=name).scores, probabilities=probabilities)


def _chosen(
    margins_of: Mapping[str, Sequence[Floats]], solutions: Solutions, reduction: str
) -> Iterator[tuple[str, Floats]]:
    for of, per_seed in margins_of.items():
        yield of, np.stack([_choice(one_B, solutions, reduction).credits_P for one_B in per_seed])


def _choice(margins_B: Floats, solutions: Solutions, reduction: str) -> Choice:
    return choose(chain_scores(margins_B, solutions.steps, reduction), solutions.right_C, solutions.problems)


def _row(
    run: Run,
    method: str,
    measure: str,
    credits: Mapping[str, tuple[dict[str, Credits], dict[str, float | None]]],
    chance: float | None,
) -> ProcessRow:
    own, other = credits[method][0][measure], credits[run.baseline][0][measure]
    # Both methods judge the same solutions, so that the groups of one are those of both.
    both = Credits({STUDENT: own[STUDENT], run.baseline: other[STUDENT]}, own.groups)
    compared = None if method == run.baseline else both.difference(STUDENT, run.baseline)
    return ProcessRow(
        recipe=run.recipe,
        setting=run.setting,
        task=run.task,
        method=method,
        measure=measure,
        seeds=run.seeds,
        n_scored=own[STUDENT].shape[1],
        chance=chance,
        **interval_fields(own, {of: (f"{of}_accuracy", of) for of in TRAINED}),
        **pgr_fields(own),
        **interval_ends("difference", compared),
        difference_to=run.baseline if compared else None,
    )
