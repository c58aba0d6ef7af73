"""The rows of a report: one for each method of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.agreement import Agreement, agreement, mean_agreement
from w2s_rm.metrics.bootstrap import Interval, accuracy_interval
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.pairing import paired_correctness, with_gold
from w2s_rm.metrics.pgr import PGR, gap_recovered, pgr
from w2s_rm.report.rows import ReportRow, SeedResult
from w2s_rm.report.run import Run, read_counts, read_predictions, read_run
from w2s_rm.types import Predictions

Models = Mapping[str, Sequence[Predictions]]


def collect(run_dir: Path) -> list[ReportRow]:
    """Compute the rows of one run, a row for each method in the recipe's order.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
        DataError: Weak, student and ceiling were not scored on identical test examples.
    """
    run = read_run(run_dir)
    return [_row(run, method) for method in run.methods]


def _row(run: Run, method: str) -> ReportRow:
    models = _predictions(run, method)
    students = models["student"]
    scored = with_gold(students[0])
    credits = _credits(models) if scored.ids else {}
    accuracies = {of: accuracy_interval(credits_SN) for of, credits_SN in credits.items()}
    whole = {"weak", "student", "ceiling"} <= credits.keys()
    result = pgr(credits["weak"], credits["student"], credits["ceiling"]) if whole else None
    label_accuracy, n_labelled = _labels(run, method)
    return ReportRow(
        recipe=run.recipe,
        setting=run.setting,
        task=run.task,
        weak_model=run.weak_model,
        strong_model=run.strong_model,
        supervisor=run.supervisor,
        method=method,
        seeds=run.seeds,
        n_test=len(students[0].ids),
        n_scored=len(scored.ids),
        chance=float(np.mean([1 / len(one) for one in (scored.scores or students[0].scores)])),
        **_accuracy_fields(accuracies),
        **_pgr_fields(result),
        **_agreement_fields(models),
        label_accuracy=label_accuracy,
        n_labelled=n_labelled,
        counts=_counts(run),
        per_seed=tuple(_seed_result(seed, index, credits) for index, seed in enumerate(run.seeds)),
    )


def _predictions(run: Run, method: str) -> dict[str, list[Predictions]]:
    """Predictions of each model, one for each seed; a model that was evaluated for no seed is left out."""
    models = {}
    for of in ("weak", "student", "ceiling"):
        stages = {seed: run.find("evaluate", of, method, seed) for seed in run.seeds}
        found = [stage for stage in stages.values() if stage is not None]
        absent = [seed for seed, stage in stages.items() if stage is None]
        if (found or of == "student") and absent:
            raise ArtifactError(
                f"run {run.recipe!r}, method {method!r}: the plan evaluates no {of} for seeds {absent}; "
                f"write the plan again with `w2s-rm run`"
            )
        if found:
            models[of] = [read_predictions(stage) for stage in found]
    if not models["student"][0].ids:
        raise ArtifactError(
            f"run {run.recipe!r}, method {method!r}: no test predictions of the student; evaluate it again"
        )
    return models


def _credits(models: Models) -> dict[str, Floats]:
    return paired_correctness({of: [with_gold(one) for one in per_seed] for of, per_seed in models.items()})


def _accuracy_fields(accuracies: Mapping[str, Interval]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for of in ("weak", "student", "ceiling"):
        one = accuracies.get(of)
        fields[f"{of}_accuracy"] = one.value if one else None
        fields[f"{of}_low"] = one.low if one else None
        fields[f"{of}_high"] = one.high if one else None
    return fields


def _pgr_fields(result: PGR | None) -> dict[str, Any]:
    if result is None:
        return dict.fromkeys(("gap", "gap_low", "gap_high", "pgr", "pgr_low", "pgr_high", "reliable"))
    return {
        "gap": result.gap,
        "gap_low": result.gap_low,
        "gap_high": result.gap_high,
        "pgr": result.value,
        "pgr_low": result.low,
        "pgr_high": result.high,
        "reliable": result.reliable,
    }


def _agreement_fields(models: Models) -> dict[str, Any]:
    mean = Agreement(0.0, None, None)
    if "weak" in models:
        pairs = zip(models["student"], models["weak"], strict=True)
        mean = mean_agreement([agreement(student, weak) for student, weak in pairs])
    return {
        "agreement": mean.overall if "weak" in models else None,
        "agreement_when_right": mean.when_right,
        "agreement_when_wrong": mean.when_wrong,
    }


def _labels(run: Run, method: str) -> tuple[float | None, int | None]:
    """Mean accuracy over seeds and number of the weak labels."""
    stages = [run.find("relabel", None, method, seed) for seed in run.seeds]
    counts = [read_counts(stage) for stage in stages if stage is not None]
    accuracies = [one["label_accuracy"] for one in counts if one.get("label_accuracy") is not None]
    numbers = [one["n_labelled"] for one in counts if one.get("n_labelled") is not None]
    return float(np.mean(accuracies)) if accuracies else None, numbers[0] if numbers else None


def _counts(run: Run) -> dict[str, float]:
    """What `prepare` counted, nested groups joined with dots, and what each tokenizer made the stages cut."""
    seed, method = run.seeds[0], run.methods[0]
    stage = run.find("prepare", None, None, seed)
    counts = dict(_flat("", read_counts(stage))) if stage else {}
    for data, name, of, own in (
        ("weak", "weak", None, None),
        ("relabel", "student", None, method),
        ("test", "evaluate", "student", method),
    ):
        stage = run.find(name, of, own, seed)
        found = read_counts(stage) if stage else {}
        counts |= {f"{key} ({data})": found[key] for key in ("cut_prompts", "cut_candidates") if key in found}
    return counts


def _flat(prefix: str, counts: Mapping[str, object]) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for name, value in counts.items():
        if isinstance(value, Mapping):
            pairs += _flat(f"{prefix}{name}.", value)
        elif isinstance(value, int | float):
            pairs.append((f"{prefix}{name}", value))
    return pairs


def _seed_result(seed: int, index: int, credits: Mapping[str, Floats]) -> SeedResult:
    means = {of: float(credits_SN[index].mean()) for of, credits_SN in credits.items()}
    weak, student, ceiling = (means.get(of) for of in ("weak", "student", "ceiling"))
    if weak is None or student is None or ceiling is None:
        return SeedResult(seed, weak, student, ceiling, None)
    return SeedResult(seed, weak, student, ceiling, gap_recovered(weak, student, ceiling))
