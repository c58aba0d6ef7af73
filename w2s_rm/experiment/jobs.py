"""The stages of several plans as one body of work: each once, after what it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from w2s_rm.experiment.plan import Plan
from w2s_rm.experiment.stage import Stage

# Weak supervisors and ceilings are the same thing: a model trained on the truth.
_KINDS = {"weak": ("truth", "truths"), "ceiling": ("truth", "truths"), "student": ("student", "students")}


@dataclass(frozen=True)
class Job:
    """A stage among the stages of several plans.

    Args:
        stage ([`~w2s_rm.experiment.stage.Stage`]): What to run.
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
            owners.setdefault(stage.folder, (plan.recipe.name, stage))
    folders = {stage.hash: folder for folder, (_, stage) in owners.items()}
    jobs = []
    for recipe, stage in owners.values():
        # Inputs that no stage makes, such as a model on disk, have hashes that are no stage's.
        needs = frozenset(folders[value] for value in stage.config["inputs"].values() if value in folders)
        title = f"{recipe}: {stage.title}" if len(plans) > 1 else stage.title
        jobs.append(Job(stage, recipe, needs, title))
    return sorted(jobs, key=lambda job: job.stage.loads_model)


def count_kinds(stages: Sequence[Stage]) -> str:
    """Count stages by kind: `1 prepare, 3 pretrain, 3 truths, 6 students, ...`.

    Args:
        stages (`Sequence[Stage]`): Without repetition.
    """
    # Evaluations last: they are the most, and the least of the work.
    ordered = sorted(stages, key=lambda stage: stage.stage == "evaluate")
    kinds = [_KINDS.get(stage.stage, (stage.stage, stage.stage)) for stage in ordered]
    return ", ".join(f"{count} {one if count == 1 else many}" for (one, many), count in Counter(kinds).items())


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
