"""What Ctrl-C leaves: what is kept, and where a run goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from w2s_rm.experiment.jobs import Job
from w2s_rm.runs.folder import UNFINISHED
from w2s_rm.runs.progress import Progress
from w2s_rm.runs.standing import DONE, RUNNING, STOPPED, stand


def interruption(jobs: Sequence[Job]) -> str:
    """Say after an interruption what is kept, and how to go on.

    Args:
        jobs (`Sequence[Job]`): What was to run.
    """
    now = time.time()
    standings = {job.stage.folder: stand(job.stage.folder, now) for job in jobs}
    done = sum(standing.state == DONE for standing in standings.values())
    lines = [f"finished stages are kept, {done} of {len(jobs)}"]
    for job in jobs:
        standing = standings[job.stage.folder]
        # This process still lives, so that a stage which it ran seems to run.
        if standing.state in (RUNNING, STOPPED) and standing.progress is not None:
            lines.append(f"  {job.title}: {_place(standing.progress)}{_goes_on(job.stage.folder)}")
    return "\n".join([*lines, "the same command goes on from here"])


def _place(progress: Progress) -> str:
    if progress.step is None:
        return ""
    return f"was at {progress.step} of {progress.total} {progress.unit}, "


def _goes_on(folder: Path) -> str:
    # A training has a `checkpoint-<step>`, a pretraining one `checkpoint`, features their shards.
    kept = next((folder / UNFINISHED).glob("checkpoint*"), None) or next((folder / "shards").glob("*"), None)
    return "begins again" if kept is None else f"goes on from what is kept in {kept.parent}"
