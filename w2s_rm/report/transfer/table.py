"""The rows about transfer: one for each method of a run and each task that its models were scored on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.metrics.bootstrap import difference_interval
from w2s_rm.metrics.transfer import mean_gain
from w2s_rm.report.fields import Credits, accuracy_fields, credits_of, interval_ends, pgr_fields
from w2s_rm.report.table import Read, read_models, reading_once
from w2s_rm.report.transfer.rows import TransferRow
from w2s_rm.roles import STUDENT, WEAK
from w2s_rm.runs.plan import Run, TestedTask, read_run


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
    read = reading_once()
    return [row for run in runs for method in run.methods for row in _of_method(run, method, read)]


def _of_method(run: Run, method: str, read: Read) -> Iterator[TransferRow]:
    # Plans from before further tasks name none, and have but their own.
    own, *others = run.tested or (TestedTask(run.task, run.task, ""),)
    credits = {own: credits_of(read_models(run, method, read))}
    credits |= {task: credits_of(read_models(run, method, read, task.label)) for task in others}
    mean = _mean_fields([credits[task] for task in others])
    for task, found in credits.items():
        yield TransferRow(
            recipe=run.recipe,
            setting=run.setting,
            trained_on=own.label,
            tested_on=task.label,
            test_task=task.name,
            test_source=task.source,
            home=task is own,
            method=method,
            seeds=run.seeds,
            n_scored=found[STUDENT].shape[1] if found else 0,
            **accuracy_fields(found),
            **interval_ends("gain", _gain(found)),
            **pgr_fields(found),
            **mean,
        )


def _gain(credits: Credits) -> Any:
    both = {STUDENT, WEAK} <= credits.keys()
    return difference_interval(credits[STUDENT], credits[WEAK]) if both else None


def _mean_fields(others: Sequence[Credits]) -> Mapping[str, Any]:
    compared = [credits for credits in others if {STUDENT, WEAK} <= credits.keys()]
    name = "out_of_distribution_gain"
    mean = mean_gain([found[STUDENT] for found in compared], [found[WEAK] for found in compared]) if compared else None
    return {"n_other_tasks": len(compared), **interval_ends(name, mean)}
