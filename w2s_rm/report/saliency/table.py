"""The rows about mistakes that students can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from w2s_rm.metrics.intervals import Interval, share_interval
from w2s_rm.metrics.quantities import Quantity
from w2s_rm.report.fields import interval_ends
from w2s_rm.report.hypotheses import Results
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.saliency.rows import SaliencyRow


def collect_saliency(folder: Path, rows: Sequence[ReportRow]) -> Iterator[SaliencyRow]:
    """Compute the rows of one run, methods in the recipe's order; none where it did not look for mistakes.

    Args:
        folder (`Path`): The run's folder, `runs/<recipe>`.
        rows (`Sequence[ReportRow]`): What [`~w2s_rm.report.table.collect`] returned for it.
    """
    results = Results(folder)
    for row in rows:
        # Of a supervisor without mistakes nothing is to be told.
        if row.weak_accuracy is None or not results.tells_mistakes(row.method):
            continue
        yield SaliencyRow(
            recipe=row.recipe,
            setting=row.setting,
            task=row.task,
            method=row.method,
            seeds=row.seeds,
            weak_model=row.weak_model,
            strong_model=row.strong_model,
            weak_size=results.run.weak_size,
            strong_size=results.run.strong_size,
            mistakes=1 - row.weak_accuracy,
            **interval_ends("saliency", _interval(results.saliency(row.method))),
            **interval_ends("doubt", _interval(results.doubt(row.method))),
            imitated=row.agreement_when_wrong,
            pgr=row.pgr,
            pgr_low=row.pgr_low,
            pgr_high=row.pgr_high,
            reliable=row.reliable,
        )


def _interval(area: Quantity) -> Interval:
    # As of a share, for an area lies in [0, 1] like one.
    estimate = area.estimate()
    return share_interval(estimate.value, area.half_width(), estimate.n_drawn)
