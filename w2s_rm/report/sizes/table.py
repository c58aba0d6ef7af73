"""The rows about sizes: curves through the runs of a grid, and what they say one size beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.metrics.intervals import Interval
from w2s_rm.metrics.size_curves import (
    STRONG_SIZE,
    WEAK_SIZE,
    Fit,
    SizeCurve,
    SizedPair,
    accuracy_curve,
    left_out,
    pgr_curve,
)
from w2s_rm.report.hypotheses import Results
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.sizes.rows import CurveFacts, SizeRow
from w2s_rm.roles import TRAINED

# A curve has three coefficients: with fewer sizes none could be left out to see whether the others predict it.
_LEAST = 3
_Grid = Mapping[tuple[float, float], tuple[Results, ReportRow]]


def collect_sizes(runs: Sequence[tuple[Path, Sequence[ReportRow]]]) -> list[SizeRow]:
    """Compute the rows about the sizes of runs on one task, by method.

    Args:
        runs (`Sequence[tuple]`): Folder of each run, and what [`~w2s_rm.report.table.collect`] returned for it.

    Returns:
        `list[SizeRow]`: Empty where no task and method has three sizes of supervisors and of students, each pair once,
        with the same seeds and a ceiling.
    """
    known = [(Results(folder), row) for folder, rows in runs for row in rows if row.ceiling_accuracy is not None]
    keys = dict.fromkeys((row.setting, row.task, row.method, row.seeds) for _, row in known)
    found: list[SizeRow] = []
    for key in keys:
        group = [(results, row) for results, row in known if (row.setting, row.task, row.method, row.seeds) == key]
        grid = {size: one for one in group if (size := _sizes(one[0])) is not None}
        # Runs whose sizes are unknown, or two of one pair of sizes, make it no grid: they differ in something else.
        if len(grid) == len(group) and min(len({pair[side] for pair in grid}) for side in (0, 1)) >= _LEAST:
            found += _of_grid(grid)
    return found


def _sizes(results: Results) -> tuple[float, float] | None:
    weak, strong = results.run.weak_size, results.run.strong_size
    # Embeddings that are read as features have no size either.
    return (float(weak), float(strong)) if weak and strong else None


def _of_grid(grid: _Grid) -> Iterator[SizeRow]:
    pairs = _pairs(grid)
    accuracies, recovered = accuracy_curve(pairs), pgr_curve(pairs)
    if accuracies is None:
        return
    curves: dict[str, Any] = {
        "accuracy_curve": _facts(accuracies, pairs, accuracy_curve),
        "pgr_curve": None if recovered is None else _facts(recovered, pairs, pgr_curve),
    }

    def fitted(weak_size: float, strong_size: float) -> dict[str, Any]:
        pgr = None if recovered is None else recovered.at(weak_size, strong_size)
        return {**_named("fitted_accuracy", accuracies.at(weak_size, strong_size)), **_named("fitted_pgr", pgr)}

    for sizes, (_, row) in grid.items():
        yield SizeRow(**_common(row, sizes), **_measured(row), **fitted(*sizes), **curves, outside=False)
    *_, before, largest = sorted({strong for _, strong in grid})
    # One step further, of the ratio of the last one.
    beyond = largest**2 / before
    # Any row of a supervisor will do: its name is all that is taken of it.
    supervisors = {weak: row for (weak, _), (_, row) in grid.items()}
    for weak, row in supervisors.items():
        common = {**_common(row, (weak, beyond)), "recipe": None, "strong_model": None}
        nothing: dict[str, Any] = dict.fromkeys(_measured(row))
        yield SizeRow(**common, **nothing, **fitted(weak, beyond), **curves, outside=True)


def _pairs(grid: _Grid) -> list[SizedPair]:
    return [
        SizedPair(*sizes, *(results.accuracy(of, row.method) for of in TRAINED))
        for sizes, (results, row) in grid.items()
    ]


def _common(row: ReportRow, sizes: tuple[float, float]) -> dict[str, Any]:
    names = ("setting", "task", "method", "seeds", "recipe", "weak_model", "strong_model")
    return {**{name: getattr(row, name) for name in names}, "weak_size": sizes[0], "strong_size": sizes[1]}


def _measured(row: ReportRow) -> dict[str, Any]:
    names = ("weak_accuracy", "student_accuracy", "student_low", "student_high", "ceiling_accuracy")
    return {name: getattr(row, name) for name in (*names, "pgr", "pgr_low", "pgr_high", "reliable")}


def _named(name: str, interval: Interval | None) -> dict[str, float | None]:
    ends = (None,) * 3 if interval is None else (interval.value, _bounded(interval.low), _bounded(interval.high))
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _bounded(end: float) -> float | None:
    return None if math.isinf(end) else end


def _facts(curve: SizeCurve, pairs: Sequence[SizedPair], fit: Fit) -> CurveFacts:
    doublings = {
        **_named("weak_doubling", curve.coefficient(WEAK_SIZE).interval()),
        **_named("strong_doubling", curve.coefficient(STRONG_SIZE).interval()),
    }
    # `None` where too few sizes are left for a curve without one of them.
    errors: dict[str, float | None] = {
        f"{where}_{kind}": None for where in ("inside", "outside") for kind in ("error", "constant_error")
    }
    for left in left_out(pairs, fit):
        errors |= {f"{left.where}_error": left.error, f"{left.where}_constant_error": left.constant_error}
    return CurveFacts(float(curve.coefficients_C[0]), **doublings, **errors)  # type: ignore[arg-type]
