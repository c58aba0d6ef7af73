"""The rows of a report: one for each method of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.data.examples import read_truth
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.pgr import gap_recovered
from w2s_rm.report.curves.read import Curve, at_the_end, curve_of
from w2s_rm.report.fields import (
    BEST,
    RULES,
    Credits,
    accuracy_fields,
    agreement_fields,
    credits_of,
    difference_fields,
    gain_fields,
    greedy_fields,
    pgr_fields,
    stopping_fields,
)
from w2s_rm.report.rows import ALIKE, ReportRow, SeedResult
from w2s_rm.report.scored import examples_of, grouped, of_a_part
from w2s_rm.roles import CEILING, JUDGED, LABELS, STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import PlannedStage, Run, read_counts, read_run
from w2s_rm.types import WEAK_VALIDATION, Predictions

Read = Callable[[PlannedStage], Predictions]
# Of the counts of `prepare`: accuracies, which have fields of their own.
_BASELINES = ("length_only", "bag_of_words")


def collect(run_dir: Path) -> list[ReportRow]:
    """Compute the rows of one run, a row for each method in the recipe's order.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished or its files are broken.
        DataError: The models were not all scored on identical test examples.
    """
    # Read once, asked for twice: for what students were at the end, and for what the rules of stopping say.
    curve = cache(curve_of)
    run, read = read_run(run_dir), reading_once(curve)
    return [_row(run, method, read, curve) for method in run.methods]


def reading_once(curve: Callable[[PlannedStage], Curve | None] = curve_of, *, saved: bool = False) -> Read:
    """Return what reads the predictions of an evaluation, each file once: methods share supervisor and ceiling.

    On the run's own task students are as they were at the end of their training, also where another one was saved:
    so they are in all parts of a report that call no others by their names.

    Args:
        curve (`Callable`, *optional*): Finds the curve of a student's training.
        saved (`bool`, *optional*, defaults to `False`): Whether students are the saved ones instead, for what is
            about these: other tasks, policies.
    """

    truths = cache(read_truth)

    @cache
    def read(stage: PlannedStage) -> Predictions:
        # Curves are of the run's own test split; further tasks know the saved model alone.
        own_student = stage.of == STUDENT and stage.further is None and not saved
        file = stage.folder / "predictions.parquet"
        said = at_the_end(stage, curve(stage)) if own_student else read_predictions(file)
        examples = examples_of(stage)
        return said if examples is None else grouped(said, truths(examples))

    return read


def _row(run: Run, method: str, read: Read, curve: Callable[[PlannedStage], Curve | None]) -> ReportRow:
    models = read_models(run, method, read)
    stopped = _stopped([curve(stage) for stage in run.find_all("evaluate", STUDENT, method)])
    # Supervisor and ceiling stay as they are; only the student is taken at another step.
    credits_stopped = {rule: credits_of({**models, STUDENT: students}) for rule, students in stopped.items()}
    student = models[STUDENT][0]
    known = [row for row, gold in enumerate(student.gold) if gold is not None]
    credits = credits_of(models)
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
        n_test=len(student.ids),
        n_scored=len(known),
        # Over the examples that are scored, those with truth; without any, over all.
        chance=float(np.mean([1 / len(student.scores[row]) for row in known or range(len(student.ids))])),
        **accuracy_fields(credits),
        plain_ceiling_accuracy=_plain_ceiling(run, method, read),
        **gain_fields(credits),
        **_baselines(run),
        **pgr_fields(credits),
        **stopping_fields(credits_stopped),
        **agreement_fields(models),
        **greedy_fields(models),
        label_accuracy=label_accuracy,
        n_labelled=n_labelled,
        **_test_labels(run, method),
        **difference_fields(
            {name: _students(run, name, read) for name in (method, run.baseline)}, method, run.baseline
        ),
        counts=_counts(run),
        # Rows of credits are in the order of the seeds.
        per_seed=tuple(_seed_result(seed, n, credits, credits_stopped) for n, seed in enumerate(run.seeds)),
    )


def _stopped(curves: Sequence[Curve | None]) -> dict[str, list[Predictions]]:
    """By rule what the students say that it stops, one for each seed; without the rules that say nothing."""
    known = [curve for curve in curves if curve is not None]
    # Of all seeds or none: a mean over some of them could not stand beside the means over all.
    places = {WEAK_VALIDATION: [curve.stopped for curve in known], BEST: [curve.best for curve in known]}
    return {
        rule: [curve.test[place].predictions for curve, place in zip(known, chosen, strict=True) if place is not None]
        for rule, chosen in places.items()
        if len(known) == len(curves) and None not in chosen
    }


def read_models(run: Run, method: str, read: Read, further: str | None = None) -> dict[str, list[Predictions]]:
    """Read the predictions of each model, one for each seed; a model that was evaluated for no seed is left out.

    Args:
        run ([`~w2s_rm.runs.plan.Run`]): The run.
        method (`str`): The method.
        read (`Callable`): What [`reading_once`] returned.
        further (`str`, *optional*): The label of a further task; by default the run's own.

    Raises:
        ArtifactError: Only some seeds were evaluated, or the student was scored on nothing.
    """
    models = {}
    for of in JUDGED:
        stages = run.find_all("evaluate", of, method, further=further)
        # What is known of some examples cannot stand beside what models say of all.
        if stages and not (further is None and of_a_part(stages)):
            models[of] = [read(stage) for stage in stages]
    if not models[STUDENT][0].ids:
        raise ArtifactError(
            f"run {run.recipe!r}, method {method!r}: no test predictions of the student; evaluate it again"
        )
    return models


def _students(run: Run, method: str, read: Read) -> list[Predictions]:
    return [read(stage) for stage in run.find_all("evaluate", STUDENT, method)]


def _plain_ceiling(run: Run, method: str, read: Read) -> float | None:
    """Accuracy of the ceiling that all methods share, where this one has another."""
    ceiling = run.find("evaluate", CEILING, method, run.seeds[0])
    if ceiling is None or ceiling.method is None:
        return None
    # Asked for without a method, a run finds what methods share.
    shared = [run.find("evaluate", CEILING, None, seed) for seed in run.seeds]
    credits = credits_of({CEILING: [read(stage) for stage in shared if stage is not None]})
    return float(credits[CEILING].mean()) if CEILING in credits else None


def _prepared(run: Run) -> Mapping[str, Any]:
    """What `prepare` counted."""
    # Of the first seed: where each draws splits of its own, counts and baselines are those of its.
    stage = run.find("prepare", None, None, run.seeds[0])
    return read_counts(stage) if stage else {}


def _baselines(run: Run) -> dict[str, Any]:
    prepared = _prepared(run)
    return {name: prepared.get(name) for name in _BASELINES}


def _labels(run: Run, method: str) -> tuple[float | None, int | None]:
    """Mean accuracy over seeds and number of the weak labels."""
    # By role and not by kind: a supervisor, a transform or an ensemble may have made what students are trained on.
    stages = [run.find(None, LABELS, method, seed) for seed in run.seeds]
    counts = [read_counts(stage) for stage in stages if stage is not None]
    accuracies = [count["label_accuracy"] for count in counts if count.get("label_accuracy") is not None]
    numbers = [count["n_labelled"] for count in counts if count.get("n_labelled") is not None]
    return float(np.mean(accuracies)) if accuracies else None, numbers[0] if numbers else None


def _test_labels(run: Run, method: str) -> dict[str, Any]:
    """How many of the test examples a supervisor's labels cover, and how well."""
    counts = judged_by_labels(run, method)
    return {"test_labelled": counts.get("n_labelled"), "test_label_accuracy": counts.get("label_accuracy")}


def judged_by_labels(run: Run, method: str) -> Mapping[str, Any]:
    """Return what was counted when a supervisor's labels were compared with the test examples; empty for models.

    Args:
        run ([`~w2s_rm.runs.plan.Run`]): The run.
        method (`str`): The method.
    """
    stage = run.find("evaluate", WEAK, method, run.seeds[0])
    counts = read_counts(stage) if stage else {}
    return counts if "n_labelled" in counts else {}


def _counts(run: Run) -> dict[str, float]:
    """What `prepare` counted, nested groups joined with dots, and what each tokenizer made the stages cut."""
    seed, method = run.seeds[0], run.methods[0]
    counts = dict(_flat("", {name: value for name, value in _prepared(run).items() if name not in _BASELINES}))
    for data, name, of, stage_method in (
        # The first seed and method stand for the others, which mostly read the same texts with the same tokenizer.
        ("weak", "train", WEAK, None),
        ("relabel", "train", STUDENT, method),
        ("test", "evaluate", STUDENT, method),
    ):
        stage_counts = _made(run, name, of, stage_method, seed)
        counts |= {
            f"{key} ({data})": stage_counts[key] for key in ("cut_prompts", "cut_candidates") if key in stage_counts
        }
    return counts | _alike(run)


def _made(
    run: Run, name: str, of: str | None, method: str | None, seed: int, further: str | None = None
) -> Mapping[str, Any]:
    """What a stage counted; of a training among several, what that counted which was chosen. Empty without one."""
    stage = run.find(name, of, method, seed, further=further)
    if stage is None and name == "train":
        stage = run.find("choice", of, method, seed)
    return read_counts(stage) if stage else {}


def _alike(run: Run) -> dict[str, float]:
    """Examples whose candidates are the same tokens to the student, or to its supervisor; only where there are any."""
    seed, method = run.seeds[0], run.methods[0]
    counts: dict[str, float] = {}
    read: list[tuple[str, str, str | None, str | None, str | None]] = [
        ("relabel", "train", STUDENT, method, None),
        ("relabel for the supervisor", "relabel", None, method, None),
    ]
    # The first is the run's own task.
    for test, further in (("test", None), *((f"test on {task.label}", task.label) for task in run.tested[1:])):
        read.append((test, "evaluate", STUDENT, method, further))
        read.append((f"{test} for the supervisor", "evaluate", WEAK, None, further))
    for data, name, of, stage_method, further in read:
        number = _made(run, name, of, stage_method, seed, further).get("candidates_alike", 0)
        counts |= {f"{ALIKE} ({data})": number} if number else {}
    return counts


def _flat(prefix: str, counts: Mapping[str, object]) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for name, value in counts.items():
        if isinstance(value, Mapping):
            pairs += _flat(f"{prefix}{name}.", value)
        elif isinstance(value, int | float):
            pairs.append((f"{prefix}{name}", value))
    return pairs


def _seed_result(seed: int, index: int, credits: Credits, stopped: Mapping[str, Credits]) -> SeedResult:
    means = {of: float(credits_SN[index].mean()) for of, credits_SN in credits.items()}
    weak, student, ceiling = (means.get(of) for of in TRAINED)
    known = None if weak is None or student is None or ceiling is None else (weak, student, ceiling)
    # Of the seed's own gap and without an interval: to see how seeds differ, and no result by itself.
    recovered = None if known is None else gap_recovered(*known)
    by_rule = {
        f"student_{rule}": float(stopped[rule][STUDENT][index].mean()) if stopped.get(rule) else None for rule in RULES
    }
    return SeedResult(seed, weak, student, ceiling, recovered, **by_rule)
