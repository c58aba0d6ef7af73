"""The rows about transfer: one for each method of a run and each task that its models were scored on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.data.examples import read_contents
from w2s_rm.metrics.transfer import mean_gain
from w2s_rm.report.fields import Credits, accuracy_fields, credits_of, interval_ends, pgr_fields
from w2s_rm.report.table import Read, read_models, reading_once
from w2s_rm.report.transfer.rows import TransferRow
from w2s_rm.roles import STUDENT, WEAK
from w2s_rm.runs.plan import Run, TestedTask, read_run

_LEARNED = ("weak", "relabel", "validation")


def collect_transfer(run_dirs: Sequence[Path]) -> list[TransferRow]:
    """Compute the rows of all runs; none where no run was scored on anything but its own task.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs.

    Returns:
        `list[TransferRow]`: Of runs, methods and tasks in the order given, each run's own task first.

    Raises:
        ArtifactError: A run is not finished or its files are broken.
        DataError: Models of one run were scored on different test examples.
    """
    runs = [read_run(run_dir) for run_dir in run_dirs]
    if all(len(run.tested) < 2 for run in runs):
        return []
    # Only the saved models were scored on other tasks: at home they are the same.
    read = reading_once(saved=True)
    rows = []
    for run in runs:
        # Plans from before further tasks name none, and have but their own.
        own, *others = run.tested or (TestedTask(run.task, run.task, ""),)
        tests = [
            _Test(own, None, _seen(run, None)),
            *(_Test(task, task.label, _seen(run, task.label)) for task in others),
        ]
        rows += [row for method in run.methods for row in _of_method(run, method, tests, read)]
    return rows


@dataclass(frozen=True)
class _Test:
    """A task that models were scored on, its label in the plan (`None` for the run's own), and how much they knew."""

    task: TestedTask
    further: str | None
    n_seen: int | None


def _of_method(run: Run, method: str, tests: Sequence[_Test], read: Read) -> Iterator[TransferRow]:
    credits = [credits_of(read_models(run, method, read, test.further)) for test in tests]
    # The first test is on the task that was trained on: no transfer.
    mean = _mean_fields(credits[1:])
    for test, measured in zip(tests, credits, strict=True):
        yield TransferRow(
            recipe=run.recipe,
            setting=run.setting,
            trained_on=tests[0].task.label,
            tested_on=test.task.label,
            test_task=test.task.name,
            test_source=test.task.source,
            home=test.further is None,
            method=method,
            seeds=run.seeds,
            n_scored=measured[STUDENT].shape[1] if measured else 0,
            n_seen=test.n_seen,
            **accuracy_fields(measured),
            **interval_ends("gain", _gain(measured)),
            **pgr_fields(measured),
            **mean,
        )


def _seen(run: Run, further: str | None) -> int | None:
    """How many test examples of a task are among those that the models of a run learned from, under any seed."""
    # A set: seeds share the stage unless each draws splits of its own.
    own = {run.find("prepare", None, None, seed) for seed in run.seeds}
    learned = [
        stage.folder / "examples" / f"{split}.parquet" for stage in own if stage is not None for split in _LEARNED
    ]
    tested = run.find("prepare", None, None, run.seeds[0], further=further)
    files = [] if tested is None else [*learned, tested.folder / "examples" / "test.parquet"]
    if not files or not all(path.is_file() for path in files):
        return None
    # By content, for ids of two tasks have nothing to do with each other.
    *known, test = map(read_contents, files)
    seen = {content for contents in known for content in contents}
    return sum(content in seen for content in test)


def _gain(credits: Credits) -> Any:
    return credits.difference(STUDENT, WEAK)


def _mean_fields(others: Sequence[Credits]) -> Mapping[str, Any]:
    # A file of labels says nothing of other tasks, and tasks without truth nothing of anybody.
    compared = [credits for credits in others if {STUDENT, WEAK} <= credits.keys()]
    name = "out_of_distribution_gain"
    students, weaks = ([of_task[of] for of_task in compared] for of in (STUDENT, WEAK))
    mean = mean_gain(students, weaks, [of_task.groups for of_task in compared]) if compared else None
    return {"n_other_tasks": len(compared), **interval_ends(name, mean)}
