"""The rows about calibration: one for the labels of each run, one for each of its models.

Shape suffix: S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.metrics.calibration import CalibrationError, calibration_error
from w2s_rm.metrics.intervals import Interval
from w2s_rm.metrics.resampling import mean_intervals
from w2s_rm.metrics.temperature import Tempered, cross_fitted
from w2s_rm.report.calibration.rows import Bin, CalibrationRow
from w2s_rm.report.fields import interval_ends
from w2s_rm.report.scored import Scored, read_labels
from w2s_rm.runs.plan import Run, read_run


def collect_calibration(run_dir: Path, models: Sequence[Scored]) -> list[CalibrationRow]:
    """Compute the rows of one run: labels, supervisors, students, ceilings.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        models (`Sequence[Scored]`): What [`~w2s_rm.report.scored.read_scored`] read of it.

    Returns:
        `list[CalibrationRow]`: Empty without ground truth.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
        DataError: Files of labels or examples are broken.
    """
    run = read_run(run_dir)
    return [_row(run, scored) for scored in (*read_labels(run), *models)]


def _row(run: Run, scored: Scored) -> CalibrationRow:
    said_S, drawn_S = scored.said_S, scored.drawn_S
    columns_S = [np.column_stack([said.confidence_B - said.credit_B, said.brier_B, said.loss_B]) for said in said_S]
    excluded = sum(int(np.isinf(columns_NC).sum()) for columns_NC in columns_S)
    # What is infinite has no interval.
    means = mean_intervals([columns_NC[:, :2] if excluded else columns_NC for columns_NC in columns_S], drawn_S)
    error = calibration_error(said_S, drawn_S)
    accuracy = float(np.mean([said.credit_B.mean() for said in said_S]))
    return CalibrationRow(
        recipe=run.recipe,
        setting=run.setting,
        task=run.task,
        role=scored.role,
        method=scored.method,
        transforms=scored.transforms,
        n_examples=scored.n_examples,
        n_groups=scored.n_groups,
        n_seeds=len(said_S),
        accuracy=accuracy,
        # The first column is confidence minus accuracy.
        confidence=accuracy + means[0].value,
        **interval_ends("overconfidence", means[0]),
        n_excluded=excluded,
        **interval_ends("nll", None if excluded else means[2]),
        **interval_ends("brier", means[1]),
        **interval_ends("ece", Interval(error.value, error.low, error.high)),
        ece_plain=error.plain,
        ece_noise=error.noise,
        **_tempered(scored),
        bins=_bins(error),
    )


def _tempered(scored: Scored) -> dict[str, Any]:
    """What a temperature would change; nothing unless one fits both halves of every seed."""
    fitted = [cross_fitted(said, sample.second_N) for said, sample in zip(scored.said_S, scored.samples_S, strict=True)]
    tempered_S = [tempered for tempered in fitted if tempered is not None]
    # A mean over those seeds that have a temperature could not stand beside the means over all.
    if len(tempered_S) < len(fitted):
        names = ("temperature", "tempered_nll", "tempered_brier", "tempered_ece_plain")
        return {**dict.fromkeys(names), **interval_ends("tempered_ece", None), "tempered_bins": ()}
    error = calibration_error([tempered.said for tempered in tempered_S], scored.drawn_S)
    return {
        # The geometric mean: twice as soft and half as soft are as far from 1.
        "temperature": float(np.exp(np.mean(np.log([tempered.temperatures for tempered in tempered_S])))),
        "tempered_nll": _mean(tempered_S, "loss_B"),
        "tempered_brier": _mean(tempered_S, "brier_B"),
        **interval_ends("tempered_ece", Interval(error.value, error.low, error.high)),
        "tempered_ece_plain": error.plain,
        "tempered_bins": _bins(error),
    }


def _mean(tempered_S: Sequence[Tempered], name: str) -> float:
    return float(np.mean([getattr(tempered.said, name).mean() for tempered in tempered_S]))


def _bins(error: CalibrationError) -> tuple[Bin, ...]:
    parts = zip(error.confidence_M, error.gap_M, error.error_M, strict=True)
    # The gap is accuracy minus confidence.
    return tuple(Bin(confidence, confidence + gap, spread) for confidence, gap, spread in parts)
