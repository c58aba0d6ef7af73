"""The rows about accuracy more closely: one for each model of each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from w2s_rm.metrics.abstention import accuracy_answered, answered_interval
from w2s_rm.metrics.intervals import Interval
from w2s_rm.metrics.resampling import group_mean_interval, mean_intervals
from w2s_rm.report.breakdown.rows import HALF, SHARES, BreakdownRow
from w2s_rm.report.fields import interval_ends
from w2s_rm.report.scored import Scored
from w2s_rm.runs.plan import Run, read_run


def collect_breakdown(run_dir: Path, models: Sequence[Scored]) -> list[BreakdownRow]:
    """Compute the rows of one run: supervisors, students, ceilings.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        models (`Sequence[Scored]`): What [`~w2s_rm.report.scored.read_scored`] read of it.

    Returns:
        `list[BreakdownRow]`: Empty without ground truth.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
    """
    run = read_run(run_dir)
    return [_row(run, scored) for scored in models]


def _row(run: Run, scored: Scored) -> BreakdownRow:
    said_S, drawn_S = scored.said_S, scored.drawn_S
    known = scored.n_groups is not None
    credits_S = [said.credit_B for said in said_S]
    # Resampled as the figures beside it, some of which have no formula: what stands in one line is of one kind.
    (accuracy,) = mean_intervals([credit_B[:, None] for credit_B in credits_S], drawn_S, shares=True)
    groups: Interval | None = group_mean_interval(credits_S, drawn_S) if known else None
    return BreakdownRow(
        recipe=run.recipe,
        setting=run.setting,
        task=run.task,
        role=scored.role,
        method=scored.method,
        n_examples=scored.n_examples,
        n_groups=scored.n_groups,
        largest_group=int(drawn_S[0].sizes_G.max()) if known else None,
        n_seeds=len(said_S),
        **interval_ends("accuracy", accuracy),
        **interval_ends("group_accuracy", groups),
        tied=float(np.mean([said.tied_B.sum() for said in said_S])),
        accuracy_ties_wrong=float(np.mean([np.where(said.tied_B, 0.0, said.credit_B).mean() for said in said_S])),
        accuracy_ties_half=float(
            # A tie with the right candidate in it is half right, one without is wrong.
            np.mean([np.where(said.tied_B, (said.credit_B > 0) / 2, said.credit_B).mean() for said in said_S])
        ),
        **interval_ends("half_accuracy", answered_interval(said_S, drawn_S, HALF)),
        answered=tuple(
            np.mean([accuracy_answered(said.confidence_B, said.credit_B, SHARES) for said in said_S], axis=0).tolist()
        ),
    )
