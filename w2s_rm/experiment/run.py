"""Run what a plan lacks, in order, then write the report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from w2s_rm.data.splits import NAMES as SPLITS
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.experiment.executors import Launches, run_inline
from w2s_rm.experiment.further_route import form_problems
from w2s_rm.experiment.intact import set_aside_changed
from w2s_rm.experiment.jobs import unite
from w2s_rm.experiment.plan import Plan
from w2s_rm.experiment.preflight import model_problems
from w2s_rm.experiment.tuning import tuning_lines
from w2s_rm.files import write_yaml
from w2s_rm.render.numbers import share
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.hub import hub_problems
from w2s_rm.runs.launch import read_accelerate_config, uses_cpus
from w2s_rm.runs.plan import write_plan
from w2s_rm.runs.progress import forget_progress, problem_of, tell_problem
from w2s_rm.stages import Stage
from w2s_rm.stages.policy import Policy
from w2s_rm.stages.prepare import Prepare

Say = Callable[[str], None]


def run_plan(plan: Plan, say: Say, only: frozenset[Path] | None = None) -> list[Path]:
    """Run a plan's missing stages and write its report.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): What to run.
        say (`Callable[[str], None]`): Receives one line for each stage.
        only (`frozenset[Path]`, *optional*): Folders of the stages to run, with what these need; by default all.

    Returns:
        `list[Path]`: The files of the report; none while stages are missing.

    Raises:
        W2SError: Of the first stage that fails; all finished stages are kept.
    """
    from w2s_rm.report import write_report
    from w2s_rm.report.cards import update_cards

    # For the whole run: two runs of one recipe would write one plan and one report.
    with lock(plan.run_folder):
        # First of all: by its plan `w2s-rm clean` knows what a run is about to use.
        record(plan)
        set_aside_changed(plan.stages, say)
        # Asked for after that: a stage that was set aside is to be made again, and so to be checked.
        unchecked = to_check(plan, only)
        for line in tuning_lines(plan):
            say(line)
        with Launches() as launches:
            execute = launches.run if uses_accelerate(plan) else run_inline
            jobs = unite([plan])
            for number, stage in enumerate((job.stage for job in jobs), start=1):
                if only is not None and stage.folder not in only:
                    continue
                # Not earlier: this imports torch, and mistakes in the data need not wait for it.
                if unchecked and stage.loads_model:
                    check_before(plan, unchecked)
                    unchecked = []
                run_stage(stage, f"[{number}/{len(jobs)}] {stage.title}", execute, say)
        if missing := sum(not job.stage.cached for job in jobs):
            say(f"no report yet: {missing} of {len(jobs)} stages are missing")
            return []
        files = write_report([plan.run_folder], plan.run_folder)
        update_cards(plan.run_folder)
        return files


def to_check(plan: Plan, only: frozenset[Path] | None = None) -> list[Stage]:
    """Return the stages that [`check_before`] must see: those that load a model or make one, and are not finished.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): The plan.
        only (`frozenset[Path]`, *optional*): Folders of the stages that will run; by default all.
    """
    wanted = (stage for stage in plan.stages if only is None or stage.folder in only)
    # A choice among trainings loads nothing, and yet its model may go to the hub.
    return [stage for stage in wanted if (stage.loads_model or stage.trains) and not stage.cached]


def record(plan: Plan) -> None:
    """Write `recipe.yaml` and `plan.json` into a plan's run folder.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): The plan.
    """
    write_yaml(plan.run_folder / "recipe.yaml", dict(plan.recipe.content))
    write_plan(plan.run_folder, plan.record())


def run_stage(stage: Stage, title: str, execute: Callable[[Stage], None], say: Say) -> None:
    """Run a stage that is not finished, and say so.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run.
        title (`str`): Its name in the progress lines.
        execute (`Callable[[Stage], None]`): How.
        say (`Callable[[str], None]`): Receives the lines.
    """
    if stage.cached:
        say(f"{title}: cached")
    else:
        say(f"{title} …")
        started = time.perf_counter()
        stage.write_config()
        # A problem that an earlier try has told would be shown until this one tells something.
        forget_progress(stage.folder)
        try:
            execute(stage)
        except Exception as error:
            # A launch that was killed could not tell it; what a stage has told itself stays.
            tell_problem(stage.folder, problem_of(error))
            raise
        # Reads it, and so refuses a stage that ended without an error and without a result.
        StageFolder(stage.folder).manifest()
        say(f"{title}: done in {time.perf_counter() - started:.1f} s")
    for line in alike_lines(stage):
        say(line)
    if isinstance(stage, Prepare):
        for line in check_lines(stage.folder):
            say(line)


def check_lines(folder: Path) -> list[str]:
    """Say in a few lines what `prepare` found when it looked for leaks and shortcuts.

    Args:
        folder (`Path`): The stage's folder.
    """
    check = json.loads((folder / "check.json").read_text(encoding="utf-8"))
    accuracies = {name: check[name] for name in ("length_only", "bag_of_words") if check[name] is not None}
    figures = [f"chance {share(check['chance'])}"]
    figures += [f"{name.replace('_', ' ')} {share(accuracy['value'])}" for name, accuracy in accuracies.items()]
    warnings = check["warnings"]
    verdict = "no warnings" if not warnings else f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
    return [f"  check of the data: {verdict} ({', '.join(figures)})", *(f"  ! {text}" for text in warnings)]


def alike_lines(stage: Stage) -> list[str]:
    """Say how many examples of a finished stage have candidates of the same tokens, if any.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): A stage that read examples.
    """
    counts = StageFolder(stage.folder).manifest()["counts"]
    alike = counts.get("candidates_alike", 0)
    # What works on features has the counts of the stage that read them, which said it, and of more examples.
    if not alike or not stage.loads_model:
        return []
    limit = stage.config().get("max_length")
    at = f" at max_length {limit}" if limit is not None else ""
    return [f"  ! {alike} of {counts['examples']} examples have candidates of the same tokens{at}: they are ties"]


def uses_accelerate(plan: Plan) -> bool:
    """Whether stages run as programs of their own: as soon as the recipe names an accelerate config."""
    recipe = plan.recipe
    return any((recipe.accelerate_config, *(spec.accelerate_config for spec in recipe.models().values())))


def check_before(plan: Plan, missing: list[Stage], here: bool = True) -> None:
    """Find what would fail later: options, hardware, tokenizers. Nothing heavy is loaded.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): The plan.
        missing (`list[Stage]`): What [`to_check`] returned.
        here (`bool`, *optional*, defaults to `True`): Whether they run on this machine, so that its hardware counts.

    Raises:
        ConfigError: All that is wrong.
    """
    problems: list[str] = []
    trained = [stage for stage in missing if stage.trains]
    for stage in missing:
        if here and stage.launch.accelerate_config is not None and stage.distributed:
            problems += hardware_problems(stage.launch.accelerate_config)
    problems += hub_problems([stage.config() for stage in trained])
    problems += model_problems(plan, missing, here)
    problems += form_problems(plan)
    # A further task may have been added to what is trained already.
    rendering = any(
        stage.encodes or isinstance(stage, Policy) or (stage.judges and stage.further is not None) for stage in missing
    )
    # With models that do not load their tokenizers would only fail once more.
    problems += _rendering_problems(plan) if rendering and not problems else []
    if problems:
        # A problem of several lines stays one item of the list.
        each = dict.fromkeys(text.replace("\n", "\n  ") for text in problems)
        raise ConfigError(join_problems("the recipe cannot run here:", list(each)))


def _rendering_problems(plan: Plan) -> list[str]:
    """Mistakes between the prepared examples and the tokenizers that write them; none before they are prepared."""
    from w2s_rm.data.examples import read_examples
    from w2s_rm.experiment.truncation import rendering_problems

    prepared = [stage.folder for stage in plan.stages if isinstance(stage, Prepare) and stage.cached]
    files = [folder / "examples" / f"{split}.parquet" for folder in prepared for split in SPLITS]
    return rendering_problems(plan, [example for file in files for example in read_examples(file)])


def hardware_problems(config: Path) -> list[str]:
    """Say what an accelerate config asks for that this machine lacks.

    Args:
        config (`Path`): The accelerate config.
    """
    import torch

    content = read_accelerate_config(config)
    if uses_cpus(content) or content.get("distributed_type") == "NO":
        return []
    if int(content.get("num_machines") or 1) > 1:
        return [
            f"accelerate_config {config.name} is for several machines, and `w2s-rm run` launches on this one only; "
            "launch each stage on all of them: docs/scale.md"
        ]
    needed = int(content.get("num_processes") or 1)
    available = torch.accelerator.device_count()
    if available >= needed:
        return []
    return [
        f"accelerate_config {config.name} asks for {needed} GPUs on this machine, {available} found; "
        "set num_processes in a copy of it, or use a cpu_ config"
    ]


def print_line(text: str) -> None:
    """Say a line on standard error, where progress belongs."""
    print(text, file=sys.stderr, flush=True)
