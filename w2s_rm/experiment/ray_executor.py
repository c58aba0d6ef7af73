"""Run the stages of several plans on Ray: what is independent at once, what is shared once, what was lost again."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError, StageError, join_problems
from w2s_rm.experiment.executors import run_inline
from w2s_rm.experiment.intact import set_aside_changed
from w2s_rm.experiment.jobs import Job, Schedule, unite
from w2s_rm.experiment.plan import Plan
from w2s_rm.experiment.ray_worker import MAX_RETRIES, STARTED, Outcome, run_in_worker
from w2s_rm.experiment.run import Say, check_before, record, run_stage, to_check
from w2s_rm.experiment.tuning import tuning_lines
from w2s_rm.runs.folder import lock
from w2s_rm.runs.launch import read_accelerate_config, uses_cpus
from w2s_rm.stages import Stage

# A little above Ray's least (75 MiB); only progress and outcomes pass through the store, all data goes through files.
_STORE_BYTES = 80 * 2**20
_STARTS = 3
# Workers have the environment in which their cluster was started, which knows nothing of these.
_PASSED_ON = ("W2S_RM_", "HF_", "TOKENIZERS_", "WANDB_", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Resources:
    """What a Ray task asks for, or what the largest machine of a cluster has.

    Args:
        cpus (`float`): CPUs.
        gpus (`float`): GPUs; below 1 a share of one.
    """

    cpus: float
    gpus: float


def run_on_ray(plans: Sequence[Plan], say: Say, only: frozenset[Path] | None = None) -> list[Path]:
    """Run the missing stages of all plans on Ray and write the report of each.

    Data is prepared and checked in this process first. Ray is started on this machine, or joined where `RAY_ADDRESS`
    says; the machines of a cluster then see this folder, the runs and the Python environment at the same paths.

    Args:
        plans (`Sequence[Plan]`): What to run.
        say (`Callable[[str], None]`): Receives one line for each stage.
        only (`frozenset[Path]`, *optional*): Folders of the stages to run, with what these need; by default all.

    Returns:
        `list[Path]`: The files of the last report; none while stages are missing.

    Raises:
        ConfigError: Ray is not installed or does not start, or a stage asks for more than its largest machine has.
        StageError: Stages failed; those that do not depend on them have run, and finished ones are kept.
    """
    from w2s_rm.report import write_report
    from w2s_rm.report.cards import update_cards

    with contextlib.ExitStack() as held:
        for plan in plans:
            held.enter_context(lock(plan.run_folder))
            # First of all, as in `run_plan`.
            record(plan)
            for line in tuning_lines(plan):
                say(line)
        jobs = unite(plans)
        set_aside_changed([job.stage for job in jobs], say)
        # Numbered among all, as `w2s-rm plan` shows them, before some are chosen.
        titles = {job.stage.folder: f"[{number}/{len(jobs)}] {job.title}" for number, job in enumerate(jobs, start=1)}
        jobs = [job for job in jobs if only is None or job.stage.folder in only]
        for job in jobs:
            # What needs no model is quick, and finds mistakes in the data before Ray is started.
            if job.stage.cached or not job.stage.follows_model:
                run_stage(job.stage, titles[job.stage.folder], run_inline, say)
        _check(plans, only)
        failed = _run_missing(jobs, titles, say) if any(not job.stage.cached for job in jobs) else None
        files: list[Path] = []
        for plan in plans:
            if all(stage.cached for stage in plan.stages):
                files = write_report([plan.run_folder], plan.run_folder)
                update_cards(plan.run_folder)
            elif failed is None:
                say(f"{plan.recipe.name}: no report yet, stages are missing")
        # Behind the reports of those recipes that are whole.
        if failed is not None:
            raise failed
        return files


def resources_of(stage: Stage, largest: Resources) -> Resources:
    """Return what a stage asks for: a process is a CPU, and a GPU where there are any and it loads a model.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): The stage.
        largest ([`Resources`]): What the largest machine has.
    """
    config: Mapping[str, Any] = {}
    if stage.launch.accelerate_config is not None and stage.distributed:
        config = read_accelerate_config(stage.launch.accelerate_config)
    processes = int(config.get("num_processes") or 1)
    # More processes than CPUs run all the same; Ray would wait for a machine that has as many.
    cpus = min(float(processes), largest.cpus)
    if uses_cpus(config):
        return Resources(cpus, 0.0)
    # accelerate starts a process for each GPU.
    if config and config.get("distributed_type") != "NO":
        return Resources(cpus, float(processes))
    if not stage.loads_model:
        return Resources(cpus, 0.0)
    usual = 1.0 if largest.gpus else 0.0
    return Resources(cpus, usual if stage.launch.gpus is None else float(stage.launch.gpus))


def resource_problems(jobs: Sequence[Job], largest: Resources) -> list[str]:
    """Say which stages no machine of a cluster can run; Ray would let them wait for ever.

    Args:
        jobs (`Sequence[Job]`): What is to run.
        largest ([`Resources`]): What the largest machine has.
    """
    problems: dict[str, None] = {}
    for job in jobs:
        asked, config = resources_of(job.stage, largest), job.stage.launch.accelerate_config
        where = f"accelerate_config {config.name}" if config and job.stage.distributed else f"stage {job.title}"
        if asked.gpus > largest.gpus:
            text = f"{where} asks for {asked.gpus:g} GPUs on one machine, the largest here has {largest.gpus:g}"
            problems[f"{text}; set num_processes in a copy of the config, or gpus of the model"] = None
        if config and job.stage.distributed and int(read_accelerate_config(config).get("num_machines") or 1) > 1:
            problems[f"{where} spans machines; on Ray a stage runs on one: run it by its own command"] = None
    return list(problems)


def _check(plans: Sequence[Plan], only: frozenset[Path] | None) -> None:
    problems: dict[str, None] = {}
    for plan in plans:
        missing = to_check(plan, only)
        try:
            if missing:
                # On a cluster other machines train: what this one lacks is no mistake.
                check_before(plan, missing, here=_address() is None)
        except ConfigError as error:
            problems[str(error)] = None
    if problems:
        raise ConfigError("\n".join(problems))


def _address() -> str | None:
    return os.environ.get("RAY_ADDRESS") or None


def _run_missing(jobs: Sequence[Job], titles: Mapping[Path, str], say: Say) -> StageError | None:
    with _cluster(say) as largest:
        missing = [job for job in jobs if not job.stage.cached]
        problems = resource_problems(missing, largest)
        if problems:
            raise ConfigError(join_problems("the recipe cannot run on this Ray cluster:", problems))
        schedule = Schedule(jobs)
        failures = _work_through(schedule, titles, largest, say)
    if not failures:
        return None
    failures += [f"{job.title}: could not run without a stage that failed" for job in schedule.stranded]
    return StageError(join_problems("stages failed; finished ones are kept:", failures, most=50))


def _children() -> set[Any]:
    import psutil

    return set(psutil.Process().children(recursive=True))


def _kill(processes: set[Any]) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def _cluster(say: Say) -> Iterator[Resources]:
    """Start or join Ray; yield what its largest machine has."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--executor ray needs Ray: pip install 'w2s-rm[ray]'") from error
    # Ray sends its makers figures of use where nothing else is said.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = _address()
    here = {"address": "local", "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    # What else this process has started survives a start that fails.
    before = _children()
    # Its parts have half a minute, whatever one says (`ray/_private/node.py`): too little on a busy machine.
    for left in reversed(range(1 if address else _STARTS)):
        try:
            # The workers' output is not passed on: each stage has a log in its folder.
            ray.init(**({"address": address} if address else here), log_to_driver=False, logging_level=logging.ERROR)
            break
        except Exception as error:  # Ray raises plain exceptions when a part of it does not come up.
            ray.shutdown()
            # It forgets those parts that did come up until this process ends.
            _kill(_children() - before)
            why = f"Ray did not start ({' '.join(str(error).split())})"
            if left:
                say(f"{why}; trying again")
                continue
            advice = (
                "is RAY_ADDRESS right, and that cluster up?"
                if address
                else f"nor did it in {_STARTS - 1} tries before: is the machine busy?"
            )
            raise ConfigError(f"{why}; {advice}") from error
    try:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cpus, gpus = (max(machine.get(kind, 0.0) for machine in machines) for kind in ("CPU", "GPU"))
        say(f"Ray: {len(machines)} machine{'s' if len(machines) > 1 else ''} of up to {cpus:g} CPUs and {gpus:g} GPUs")
        yield Resources(cpus, gpus)
    finally:
        ray.shutdown()


def _work_through(schedule: Schedule, titles: Mapping[Path, str], largest: Resources, say: Say) -> list[str]:
    """Hand stages to Ray as soon as they find their inputs; return what failed."""
    import ray

    # A generator, of which Ray hands each value on as it comes: "started" tells waiting from running.
    work = ray.remote(run_in_worker)
    environment = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    running: dict[Any, Job] = {}
    failures: list[str] = []
    try:
        while True:
            for job in schedule.take():
                asked = resources_of(job.stage, largest)
                options = {"num_cpus": asked.cpus, "num_gpus": asked.gpus, "max_retries": MAX_RETRIES}
                # With this folder, in which relative paths of a recipe begin, such as that of a component of the user's
                # own.
                running[work.options(**options).remote(job.stage, environment, os.getcwd())] = job
            if not running:
                return failures
            # A generator is ready as soon as it has yielded something, and not only at its end.
            (task,), _ = ray.wait(list(running), num_returns=1)
            job = running[task]
            news = _next_news(task)
            if news == STARTED:
                say(f"{titles[job.stage.folder]} …")
                continue
            del running[task]
            if news.problem is None:
                schedule.finish(job)
                say(f"{titles[job.stage.folder]}: done in {news.seconds:.1f} s")
            else:
                say(f"{titles[job.stage.folder]}: failed")
                failures.append(f"{job.title}: {news.problem}")
    finally:
        # After an error, or Ctrl-C: what still runs would go on with nobody to tell.
        for task in running:
            ray.cancel(task, force=True)


def _next_news(task: Any) -> Any:
    """Read what a task reports next; a task that Ray has given up is an outcome as well."""
    import ray

    try:
        return ray.get(next(task))
    except ray.exceptions.RayError as error:
        return Outcome(f"Ray gave it up: {' '.join(str(error).split())}", 0.0)
