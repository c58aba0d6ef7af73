"""The plan of a run as it is kept in `plan.json`: written when the run begins, read by all that comes after it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ArtifactError, join_problems
from w2s_rm.files import read_signed, write_signed
from w2s_rm.roles import STUDENT
from w2s_rm.runs.folder import REMEDY, StageFolder, is_weights
from w2s_rm.runs.places import beside

# Stages whose results reports read.
_READ_STAGES = ("prepare", "relabel", "combine", "transcripts", "choice", "evaluate", "policy", "saliency")
PLAN = "plan.json"
"""In the folder of a run."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan.

    Args:
        stage (`str`): Which kind of work, such as `"evaluate"`.
        of (`str` or `None`): What the model that it makes or judges is: a word of [`w2s_rm.roles`].
        method (`str` or `None`): The method it belongs to; `None` when all methods share it.
        seed (`int` or `None`): The seed it belongs to; `None` when all seeds share it.
        folder (`Path`): Where its results are.
        policy (`str`, *optional*): What optimised a policy against the model's rewards, such as `"dpo"`.
        further (`str`, *optional*): The label of the further task that it belongs to; `None` for the run's own.
        title (`str`, *optional*): A short description, as lines of progress have it.
        needs (`tuple[str, ...]`, *optional*): Names of the folders of the stages that it reads.
    """

    stage: str
    of: str | None
    method: str | None
    seed: int | None
    folder: Path
    policy: str | None = None
    further: str | None = None
    title: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policies:
    """What a run optimised against its reward models.

    Args:
        model (`str`): Name of the starting policy for display.
        methods (`tuple[str, ...]`): What optimised it, in the recipe's order.
        samples (`int`): Completions drawn for each test prompt.
    """

    model: str
    methods: tuple[str, ...]
    samples: int


@dataclass(frozen=True)
class TestedTask:
    """A task on which the models of a run are scored. It is the same task in two runs where all of this is the same.

    Args:
        label (`str`): Its name for display.
        name (`str`): Registered task.
        source (`str`): Identifies the content of its data.
    """

    label: str
    name: str
    source: str


@dataclass(frozen=True)
class Run:
    """What a run consists of.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task's name for display.
        head (`str`): How the models score candidates.
        weak_model (`str` or `None`): Name for display.
        strong_model (`str`): Name for display.
        supervisor (`str`): `"model"` or `"labels"`.
        seeds (`tuple[int, ...]`): All seeds.
        methods (`tuple[str, ...]`): All methods, in the recipe's order.
        stages (`tuple[PlannedStage, ...]`): All stages.
        policies ([`Policies`], *optional*): What was optimised against the reward models.
        compare_to (`str`, *optional*): The method that the others are compared with; the first where none is named.
        tested (`tuple[TestedTask, ...]`, *optional*): Its own task and the further ones, in the recipe's order.
        weak_size (`int`, *optional*): Layers times width squared of the weak model, about a twelfth of its parameters
            without embeddings; `None` where it is not known, or there is no model.
        strong_size (`int`, *optional*): The same of the strong one.
    """

    recipe: str
    setting: str
    task: str
    head: str
    weak_model: str | None
    strong_model: str
    supervisor: str
    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    stages: tuple[PlannedStage, ...]
    policies: Policies | None = None
    compare_to: str | None = None
    tested: tuple[TestedTask, ...] = ()
    weak_size: int | None = None
    strong_size: int | None = None

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return self.compare_to or self.methods[0]

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        stages = [{**dataclasses.asdict(stage), "folder": str(stage.folder)} for stage in self.stages]
        return {**dataclasses.asdict(self), "stages": stages}

    def find(
        self,
        stage: str | None,
        of: str | None,
        method: str | None,
        seed: int | None,
        policy: str | None = None,
        further: str | None = None,
    ) -> PlannedStage | None:
        """Return the stage that serves a method and seed: its own if there is one, otherwise one shared by all.

        Args:
            stage (`str` or `None`): Which kind of work; `None` takes any.
            of (`str` or `None`): Its role; `None` takes any.
            method (`str` or `None`): The method.
            seed (`int` or `None`): The seed.
            policy (`str`, *optional*): What optimised it, for a policy.
            further (`str`, *optional*): The label of a further task, for what belongs to that.
        """
        fitting = [
            candidate
            for candidate in self.stages
            if stage in (None, candidate.stage)
            # As asked for to the letter: without a name no stage of a policy or of a further task is meant.
            and candidate.policy == policy
            and candidate.further == further
            and of in (None, candidate.of)
            and candidate.method in (None, method)
            and candidate.seed in (None, seed)
        ]
        # What a method or a seed has for itself comes before what is shared.
        return max(
            fitting, key=lambda candidate: (candidate.method is not None, candidate.seed is not None), default=None
        )

    def find_all(
        self, stage: str, of: str, method: str, policy: str | None = None, further: str | None = None
    ) -> list[PlannedStage]:
        """Return the stages of one model, one for each seed, or none when there is none for any seed.

        Args:
            stage (`str`): Which kind of work.
            of (`str`): Whose model.
            method (`str`): The method.
            policy (`str`, *optional*): What optimised it, for a policy.
            further (`str`, *optional*): The label of a further task, for evaluations on that.

        Raises:
            ArtifactError: Only some seeds have one, or the student has none.
        """
        stages = {seed: self.find(stage, of, method, seed, policy, further) for seed in self.seeds}
        existing = [candidate for candidate in stages.values() if candidate is not None]
        absent = [seed for seed, candidate in stages.items() if candidate is None]
        # A role may be missing for all seeds, as the weak model where labels are a file; a student may not, and none
        # for some seeds alone.
        if (existing or of == STUDENT) and absent:
            work = f"optimises no policy with {policy} against" if policy else "evaluates no"
            where = "" if further is None else f" on {further}"
            raise ArtifactError(
                f"run {self.recipe!r}, method {method!r}: the plan {work} {of}{where} for seeds {absent}; "
                f"write the plan again with `w2s-rm run`"
            )
        return existing

    def behind(self, stage: PlannedStage) -> list[PlannedStage]:
        """Return a stage and all that it needs, each once.

        Args:
            stage ([`PlannedStage`]): A stage of the run.
        """
        by_name = {known.folder.name: known for known in self.stages}
        found, waiting = {stage.folder.name: stage}, [stage]
        while waiting:
            for name in waiting.pop().needs:
                if name in by_name and name not in found:
                    found[name] = by_name[name]
                    waiting.append(by_name[name])
        return list(found.values())


def read_run(run_dir: Path) -> Run:
    """Read `plan.json` of a run and check that the stages the report needs are finished.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: No plan, a broken plan, or unfinished stages (all are named).
    """
    run = read_planned(run_dir)
    _check_finished(run, run_dir / PLAN)
    return run


def read_planned(run_dir: Path) -> Run:
    """Read `plan.json` of a run, whatever has become of its stages.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: No plan, or a broken one.
    """
    path, plan = run_dir / PLAN, read_plan(run_dir)
    policy, stages, tested = plan.get("policies"), plan.get("stages", []), plan.get("tested", [])
    missing = _missing(Run, plan, "")
    for number, entry in enumerate(stages):
        missing += _missing(PlannedStage, entry, f"stage {number}: ")
    missing += _missing(Policies, policy, "policies: ") if policy is not None else []
    for number, entry in enumerate(tested):
        missing += _missing(TestedTask, entry, f"task {number}: ")
    if missing:
        raise ArtifactError(join_problems(f"{path}: not a whole plan; write it again with `w2s-rm run`:", missing))
    read = {
        # `None` where a file of labels is the supervisor.
        "weak_model": plan["weak_model"] and display_name(plan["weak_model"]),
        "strong_model": display_name(plan["strong_model"]),
        "seeds": tuple(plan["seeds"]),
        "methods": tuple(plan["methods"]),
        "stages": tuple(
            PlannedStage(
                **{**entry, "folder": _locate(run_dir, Path(entry["folder"])), "needs": tuple(entry.get("needs", ()))}
            )
            for entry in stages
        ),
        "policies": _policies(policy),
        "tested": tuple(TestedTask(**entry) for entry in tested),
    }
    # What a plan leaves out has its default in `Run`; for all the rest `_missing` has asked.
    return Run(**{**plan, **read})


def read_plan(run_dir: Path) -> dict[str, Any]:
    """Return the content of `plan.json`, plain.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: There is none, or it is not what a run wrote.
    """
    path = run_dir / PLAN
    if not path.is_file():
        raise ArtifactError(f"{path}: not found; give the folder of a run, or start it with `w2s-rm run RECIPE`")
    try:
        return read_signed(path)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: {error}; write it again with `w2s-rm run`") from error


def check_intact(run: Run, *, weights: bool = True) -> None:
    """Read all that reports of a run may read of its finished stages, and compare it with what was made.

    Weights are what reports do not read: of them only the sizes are compared, or nothing.

    Args:
        run ([`Run`]): The run.
        weights (`bool`, *optional*, defaults to `True`): Whether they must be there, as large as they were. A report
            needs none, also of a run that was copied without them.

    Raises:
        ArtifactError: Files are not as they were made; all are named.
    """
    # Several roles may share a folder, which is read once.
    folders = [StageFolder(path) for path in dict.fromkeys(stage.folder for stage in run.stages)]
    problems = [
        f"{folder.path}: {problem}"
        for folder in folders
        if folder.was_finished
        for problem in folder.problems(lambda name: not is_weights(name), lambda name: weights or not is_weights(name))
    ]
    if problems:
        raise ArtifactError(join_problems(f"run {run.recipe!r}: results are not what was made; {REMEDY}:", problems))


def write_plan(run_dir: Path, run: Run) -> None:
    """Write `plan.json` of a run.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.
        run ([`Run`]): What to write.
    """
    write_signed(run_dir / PLAN, run.plain())


def _missing(kind: type, content: Mapping[str, Any], where: str) -> list[str]:
    """Fields that must stand in a part of a plan and do not, and such as no part has."""
    known = {option.name: option.default is dataclasses.MISSING for option in dataclasses.fields(kind)}
    absent = [f"{where}{name!r} is missing" for name, needed in known.items() if needed and name not in content]
    # A field that is not known is of another version, which may mean something else by the others, too.
    return absent + [f"{where}{name!r} is unknown" for name in content if name not in known]


def read_counts(stage: PlannedStage) -> Mapping[str, Any]:
    """Return `counts` of a stage's manifest.

    Args:
        stage (`PlannedStage`): A finished stage.

    Raises:
        ArtifactError: The manifest is not what was written.
    """
    counts: Mapping[str, Any] = StageFolder(stage.folder).manifest()["counts"]
    return counts


def read_json(path: Path) -> Any:
    """Read a file that a run wrote.

    Args:
        path (`Path`): JSON.

    Raises:
        ArtifactError: It is not there or does not parse.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error}); run the recipe again") from error


def display_name(model: str) -> str:
    """Name a model for a report: a hub id as it is, a folder by its last part, so that no private path is printed.

    A folder called `model` says nothing and is named by the folder it lies in.

    Args:
        model (`str`): A hub id or a path.
    """
    if not model.startswith(("/", "~", "./", "../")):
        return model
    path = Path(model)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


def _policies(planned: Mapping[str, Any] | None) -> Policies | None:
    if planned is None:
        return None
    return Policies(display_name(planned["model"]), tuple(planned["methods"]), planned["samples"])


def _locate(run_dir: Path, folder: Path) -> Path:
    """Find the folder of a stage beside the run: a copied `runs/` is read from its own stages."""
    # The name is enough: the hash in it stands for the content.
    return beside(run_dir.parent / "stages" / folder.name, folder)


def _check_finished(run: Run, plan_path: Path) -> None:
    # Whether there is a manifest, and no more: every section of a report asks, and `check_intact` has read the files
    # before.
    unfinished = [
        stage for stage in run.stages if stage.stage in _READ_STAGES and not StageFolder(stage.folder).was_finished
    ]
    problems = [
        f"{' '.join(filter(None, (stage.stage, stage.policy, stage.of, stage.method, stage.further)))}, "
        f"seed {stage.seed}: "
        f"no manifest in {stage.folder}"
        for stage in unfinished
    ]
    if problems:
        heading = f"{plan_path}: {len(problems)} stages are not finished; `w2s-rm run` continues with them:"
        raise ArtifactError(join_problems(heading, problems))
