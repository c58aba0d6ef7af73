"""Read what a policy stage left: its results on the test prompts, and the curve of its training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.errors import ArtifactError, join_problems
from w2s_rm.metrics.choices import Floats
from w2s_rm.report.policy.rows import CurvePoint
from w2s_rm.runs.plan import PlannedStage, read_counts

_NUMBERS = ("success", "reward", "kl")
_AGAIN = "delete the folder and run the recipe again"


@dataclass(frozen=True)
class PolicyResult:
    """One policy after its training, with what came before.

    Args:
        ids (`tuple[str, ...]`): Test prompts.
        success (`ndarray` of shape `(N,)`): For each prompt the share of sampled completions that are truly right.
        reward (`ndarray` of shape `(N,)`): Mean proxy reward, standard deviations above the starting policy's mean.
        kl (`ndarray` of shape `(N,)`): Mean of log p - log p_start, nats for a whole completion.
        curve (`tuple[CurvePoint, ...]`): Its training, from the starting policy to the end.
        start_success (`float`): Success rate of the starting policy.
    """

    ids: tuple[str, ...]
    success: Floats
    reward: Floats
    kl: Floats
    curve: tuple[CurvePoint, ...]
    start_success: float


def read_policy(stage: PlannedStage) -> PolicyResult:
    """Read the folder of a finished policy stage.

    Args:
        stage ([`~w2s_rm.runs.plan.PlannedStage`]): The stage.

    Raises:
        ArtifactError: A file is missing or broken, or holds what no policy can have; every place is named.
    """
    ids, columns = _read_table(stage.folder / "policy.parquet")
    # The manifest's checksum says that nobody changed it, not that what it says is possible.
    start: Any = read_counts(stage).get("success_before")
    if not _is_share(start):
        path = stage.folder / "manifest.json"
        raise ArtifactError(f"{path}: 'success_before' of the counts is {start!r}, not a share in [0, 1]; {_AGAIN}")
    curve = _read_curve(stage.folder / "curve.jsonl")
    return PolicyResult(ids, columns["success"], columns["reward"], columns["kl"], curve, float(start))


def _read_table(path: Path) -> tuple[tuple[str, ...], dict[str, Floats]]:
    # Imported here so that the command line starts without it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
        ids = tuple(table.column("id").to_pylist())
        columns = {name: np.array(table.column(name).to_pylist(), dtype=np.float64) for name in _NUMBERS}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    if not ids:
        raise ArtifactError(f"{path}: holds no test prompts; {_AGAIN}")
    wrong = [f"row {id_!r}: {name} is {value}" for name in _NUMBERS for id_, value in _wrong(name, ids, columns[name])]
    if wrong:
        heading = f"{path}: success must be a share in [0, 1], reward and kl finite numbers; {_AGAIN}:"
        raise ArtifactError(join_problems(heading, wrong[:5]))
    return ids, columns


def _wrong(name: str, ids: tuple[str, ...], values_N: Floats) -> list[tuple[str, float]]:
    fine: Callable[[object], bool] = _is_share if name == "success" else _is_number
    return [(id_, value) for id_, value in zip(ids, values_N.tolist(), strict=True) if not fine(value)]


def _read_curve(path: Path) -> tuple[CurvePoint, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    points: list[CurvePoint] = []
    problems = []
    for number, line in enumerate(lines, start=1):
        point = _point(line)
        if point is None:
            problems.append(f"line {number}: {line[:80]!r}")
        # The first point is the starting policy; from then on steps only grow.
        elif point.step <= points[-1].step if points else point.step != 0:
            problems.append(f"line {number}: step {point.step}, but steps begin with 0 and grow")
        else:
            points.append(point)
    if problems or not points:
        heading = f"{path}: each line must be an object with step, kl, reward and success; {_AGAIN}:"
        raise ArtifactError(join_problems(heading, problems or ["the file is empty"]))
    return tuple(points)


def _point(line: str) -> CurvePoint | None:
    try:
        record = json.loads(line)
        step, kl, reward, success = (record[name] for name in ("step", "kl", "reward", "success"))
    except (ValueError, KeyError, TypeError):
        return None
    # JSON's `true` is a number to Python.
    whole = isinstance(step, int) and not isinstance(step, bool)
    if not (whole and _is_number(kl) and _is_number(reward) and _is_share(success)):
        return None
    return CurvePoint(step, float(kl), float(reward), float(success))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
