"""The stages of several plans as one body of work: each once, after what it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from w2s_rm.experiment.plan import Plan
from w2s_rm.stages import Stage


@dataclass(frozen=True)
class Job:
    """A stage among the stages of several plans.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run.
        recipe (`str`): The first recipe that needs it.
        needs (`frozenset[Path]`): Folders of the stages that it reads.
        title (`str`): A short description for a progress line.
    """

    stage: Stage
    recipe: str
    needs: frozenset[Path]
    title: str


def unite(plans: Sequence[Plan]) -> list[Job]:
    """Put the stages of all plans into one list, shared ones once, in an order in which each finds its inputs.

    Args:
        plans (`Sequence[Plan]`): Any number of plans.
    """
    owners: dict[Path, tuple[str, Stage]] = {}
    for plan in plans:
        for stage in plan.stages:
            # A stage that several recipes share is named after the first of them.
            owners.setdefault(stage.folder, (plan.recipe.name, stage))
    jobs = []
    for recipe, stage in owners.values():
        needs = frozenset(needed.folder for needed in stage.needs)
        title = f"{recipe}: {stage.title}" if len(plans) > 1 else stage.title
        jobs.append(Job(stage, recipe, needs, title))
    # Stable: within both halves each still comes after what it reads.
    return sorted(jobs, key=lambda job: job.stage.follows_model)


def count_kinds(stages: Sequence[Stage]) -> str:
    """Count stages by kind: `1 prepare, 3 pretrain, 3 truths, 6 students, ...`.

    Args:
        stages (`Sequence[Stage]`): Without repetition.
    """
    # Evaluations last: they are the most, and the least of the work.
    ordered = sorted(stages, key=lambda stage: stage.judges)
    counts = Counter((stage.noun, stage.trains) for stage in ordered)
    return ", ".join(f"{count} {noun}{'s' * (trains and count > 1)}" for (noun, trains), count in counts.items())


@dataclass
class Schedule:
    """What may run now, what must wait, and what will never run because something before it failed.

    Args:
        jobs (`Sequence[Job]`): What [`unite`] returned.
    """

    jobs: Sequence[Job]
    done: set[Path] = field(init=False)
    waiting: dict[Path, Job] = field(init=False)

    def __post_init__(self) -> None:
        # Looked at once; what is finished from here on is told.
        self.done = {job.stage.folder for job in self.jobs if job.stage.cached}
        self.waiting = {job.stage.folder: job for job in self.jobs if job.stage.folder not in self.done}

    def take(self) -> list[Job]:
        """Hand out, once, every job whose inputs are all there."""
        ready = [job for job in self.waiting.values() if job.needs <= self.done]
        for job in ready:
            del self.waiting[job.stage.folder]
        return ready

    def finish(self, job: Job) -> None:
        """Note that a job that was handed out is done.

        Args:
            job ([`Job`]): The job.
        """
        self.done.add(job.stage.folder)

    @property
    def stranded(self) -> list[Job]:
        """Jobs that were never handed out; once nothing runs any more, those that cannot."""
        return list(self.waiting.values())
