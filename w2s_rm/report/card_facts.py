"""What a model card tells, gathered from the folder of a stage and from the runs that use it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.data.reading import is_hub_id
from w2s_rm.errors import ArtifactError
from w2s_rm.files import parse_yaml
from w2s_rm.roles import STUDENT
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.places import beside
from w2s_rm.runs.plan import display_name, read_json, read_plan
from w2s_rm.types import WEAK_VALIDATION

logger = logging.getLogger(__name__)
WITH_CARDS = ("train", "choice", "assemble")
"""The stages whose models have cards."""


@dataclass(frozen=True)
class Use:
    """What one run says about a model.

    Args:
        recipe (`Mapping`): The recipe.
        role (`str`): What the model is in it: a word of [`w2s_rm.roles`].
        method (`str` or `None`): Of a student.
        seed (`int` or `None`): Its seed.
        rows (`tuple[Mapping, ...]`): Rows of the report in which the model has that role: of a method's own model that
            method's, of one that methods share those that have no other.
        judged (`bool`): Whether it was evaluated in its role: a member of an ensemble, say, was not.
        stopped (`bool`, *optional*, defaults to `False`): Whether the validation split chose it among the models of its
            training.
    """

    recipe: Mapping[str, Any]
    role: str
    method: str | None
    seed: int | None
    rows: tuple[Mapping[str, Any], ...]
    judged: bool
    stopped: bool = False

    @property
    def accuracy(self) -> float | None:
        """Accuracy of this very model on the run's test examples; `None` without ground truth or evaluation."""
        # Rows of several methods that share the model say the same of it: the first will do.
        results = [result for row in self.rows[:1] for result in row["per_seed"] if result["seed"] == self.seed]
        # Of students a row tells what they are at the end of training, whichever is saved.
        name = f"{STUDENT}_{WEAK_VALIDATION}" if self.role == STUDENT and self.stopped else self.role
        return results[0].get(name) if results and self.judged else None


@dataclass(frozen=True)
class CardFacts:
    """What is known about a model that a stage trained.

    Args:
        folder (`str`): Name of the stage's folder.
        config (`Mapping`): The stage's config.
        counts (`Mapping`): Of its manifest.
        packages (`Mapping[str, str]`): Versions it was trained with.
        task (`Mapping`): Name and options of the task; empty where the stage was launched by hand.
        dataset (`str` or `None`): Hub id of the data.
        supervisor (`str` or `None`): What gave the labels; `None` for a model trained on the truth.
        label_accuracy (`float` or `None`): Share of right labels, where it is known.
        uses (`tuple[Use, ...]`): The runs with a report that use the model, by name.
    """

    folder: str
    config: Mapping[str, Any]
    counts: Mapping[str, Any]
    packages: Mapping[str, str]
    task: Mapping[str, Any]
    dataset: str | None
    supervisor: str | None
    label_accuracy: float | None
    uses: tuple[Use, ...]

    @property
    def head(self) -> str:
        """How the model scores candidates; a stage that was launched by hand may leave it to the default."""
        return str(self.config.get("head", "reward"))


def gather(folder: Path, manifest: Mapping[str, Any], uses: tuple[Use, ...] = ()) -> CardFacts:
    """Gather the facts about a model from its stage's folder and those that it read.

    Args:
        folder (`Path`): The stage's folder, `config.yaml` written.
        manifest (`Mapping`): Its manifest, or what will be in it: `counts` and `packages`.
        uses (`tuple[Use, ...]`, *optional*): What runs say.
    """
    config = _trained_with(folder, manifest["counts"])
    # Examples lie in `<stage>/examples/<split>.parquet`: two folders up is the stage that prepared them.
    prepared = beside(folder, Path(config["examples"]).absolute().parents[1]) / "config.yaml"
    task = _read_yaml(prepared).get("task", {}) if prepared.is_file() else {}
    supervisor, label_accuracy = None, None
    # A training on the truth has no file of labels.
    if config.get("labels") is not None:
        supervisor, label_accuracy = _supervisor(beside(folder, Path(config["labels"]).parent), config["labels"])
    return CardFacts(
        folder=folder.name,
        config=config,
        counts=manifest["counts"],
        packages=manifest["packages"],
        task=task,
        dataset=_dataset(task),
        supervisor=supervisor,
        label_accuracy=label_accuracy,
        uses=uses,
    )


def find_uses(folder: Path, runs: Path) -> tuple[Use, ...]:
    """Find the runs whose plan has a stage's folder and whose report is written.

    Args:
        folder (`Path`): The stage's folder.
        runs (`Path`): Where runs are kept.

    Raises:
        ArtifactError: A report does not parse.
    """
    uses = []
    for plan in sorted(runs.glob("*/plan.json")):
        if not (plan.parent / "report.json").is_file():
            continue
        try:
            stages = read_plan(plan.parent)["stages"]
        except ArtifactError as error:
            # Another run's, and no reason to end this one.
            logger.warning("%s; no card tells of this run", error)
            continue
        for stage in stages:
            # By name, which holds the hash: `runs/` may have been moved since it was planned.
            if stage["stage"] in WITH_CARDS and Path(stage["folder"]).name == folder.name:
                # Of a model that was chosen, the training that was.
                stopped = was_stopped(_trained_with(folder, StageFolder(folder).manifest()["counts"]))
                uses.append(_use(plan.parent, stage, stages, stopped))
    return tuple(uses)


def was_stopped(config: Mapping[str, Any]) -> bool:
    """Whether the validation split chose which model of a training was saved.

    Args:
        config (`Mapping`): The config of the training's stage.
    """
    return config.get("keep") == WEAK_VALIDATION


def _use(run: Path, stage: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], stopped: bool) -> Use:
    recipe, role, method = _read_yaml(run / "recipe.yaml"), stage["of"], stage["method"]
    # A report that lies in the run's folder may be over several runs.
    rows = [row for row in read_json(run / "report.json") if row["recipe"] == recipe["name"]]
    # In this role: members of ensembles and students of earlier rounds have a role of their own, and no evaluation.
    evaluated = [
        (planned["method"], planned["seed"])
        for planned in stages
        if (planned["stage"], planned["of"]) == ("evaluate", role)
    ]
    others = {name for name, _ in evaluated if name is not None}
    # A model that methods share belongs to the rows of all methods that have none of their own.
    own_rows = [row for row in rows if row["method"] == method or (method is None and row["method"] not in others)]
    return Use(recipe, role, method, stage["seed"], tuple(own_rows), (method, stage["seed"]) in evaluated, stopped)


def _supervisor(maker: Path, labels: str) -> tuple[str, float | None]:
    """Say what gave labels, and how many of them are right, from the folder of the stage that made them."""
    if not (maker / "config.yaml").is_file():
        return display_name(labels), None
    # Not known where the examples have no truth.
    return _words(maker, labels), StageFolder(maker).manifest()["counts"].get("label_accuracy")


def _trained_with(folder: Path, counts: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a stage that makes a model; of a choice, that of the training which was chosen, in its own role.

    Args:
        folder: The stage's folder.
        counts: Of its manifest, which a model that is just being saved does not have yet.
    """
    config = _read_yaml(folder / "config.yaml")
    linear_model = config.get("linear_model")
    maker = None if linear_model is None else beside(folder, Path(linear_model).parent)
    if maker is not None and (maker / "config.yaml").is_file():
        # Where it was chosen among several, nobody knew its loss yet when this stage was planned.
        return {**config, "loss": _read_yaml(training_of(maker) / "config.yaml")["loss"]}
    if config.get("stage") != "choice":
        return config
    # A trial is one of several and has no role; what the model is for, the choice knows.
    own: dict[str, Any] = {name: config[name] for name in ("of", "run_name") if name in config}
    return {**_read_yaml(_chosen(folder, config, counts) / "config.yaml"), **own}


def training_of(folder: Path) -> Path:
    """Return the folder of the training of a model: another one where the model was chosen among several.

    Args:
        folder (`Path`): The folder of the stage that made the model, or of a model that no stage made.
    """
    config = _read_yaml(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    if config.get("stage") != "choice":
        return folder
    return _chosen(folder, config, StageFolder(folder).manifest()["counts"])


def _chosen(folder: Path, config: Mapping[str, Any], counts: Mapping[str, Any]) -> Path:
    # Trials are recorded as paths of their models, each in the folder of its stage.
    return beside(folder, Path(config["trials"][counts["chosen"]]).parent)


def _words(maker: Path, path: str) -> str:
    """Describe what a stage made, by the stage's own class; what no stage made by its name."""
    if not (maker / "config.yaml").is_file():
        return display_name(path)
    # A choice made nothing: the words are those of the training that it chose.
    maker = training_of(maker)
    config = _read_yaml(maker / "config.yaml")

    # A stage tells of itself by what it read, so words are asked for along its inputs, down to what no stage made.
    def words(path: str) -> str:
        return _words(beside(maker, Path(path).parent), path)

    text: str = catalog.lookup("stages", config["stage"]).describe(config, words, maker.name)
    return text


def _dataset(task: Mapping[str, Any]) -> str | None:
    """The hub id that a task reads: its option, or what its class says."""
    if not task:
        return None
    options = {name: value for name, value in task.items() if name != "name"}
    path = vars(catalog.lookup("tasks", task["name"])(**options)).get("path")
    return path if isinstance(path, str) and "/" in path and is_hub_id(path) else None


def _read_yaml(path: Path) -> dict[str, Any]:
    return dict(parse_yaml(path.read_text(encoding="utf-8")))
