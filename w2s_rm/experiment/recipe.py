"""A recipe: one YAML file that says everything about an experiment. Checked strictly, all mistakes at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.errors import ConfigError, W2SError, join_problems, nearest
from w2s_rm.experiment.fields import is_required, model_fields, training_fields, type_problem
from w2s_rm.experiment.marked_yaml import KeyPath, MarkedYaml, load_marked
from w2s_rm.experiment.policy_recipe import POLICY_KEYS, PolicySpec, read_policy
from w2s_rm.experiment.values import value_problems
from w2s_rm.types import Task

SIZES = ("n_train", "n_validation", "n_test")
_LEAST_SIZE = {"n_train": 2, "n_validation": 0, "n_test": 1}
# Folders of the toolkit itself below `runs/`.
_TAKEN_NAMES = ("stages", "report", "launched")
_AT_LEAST_ONE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "max_tokens_per_batch",
)
_MANY = 25
_MODELS = ("weak", "strong", "policy")
_TOP = ("name", "task", "head", *_MODELS, "methods", "train", "seeds", "accelerate_config", "ceiling_split")
_MODEL = ("model_name_or_path", "pretrain", "train", "accelerate_config", "gpus")
_WEAK = (*_MODEL, "labels", "trained")
_METHOD = ("loss", "train")
_CEILING_SPLITS = ("relabel", "weak")
# What the toolkit sets itself, with where the user says it instead.
_RESERVED = {
    "output_dir": "the run's folder",
    "seed": "seeds",
    "run_name": "name",
    "deepspeed": "accelerate_config",
    "resume_from_checkpoint": "nothing: an interrupted run resumes by itself",
    "max_train_samples": "task.n_train",
}


@dataclass(frozen=True)
class ModelSpec:
    """Where a model comes from and how it is trained.

    Args:
        model_name_or_path (`str`, *optional*): Hub id, folder, or `package:<module>/<folder>`.
        pretrain (`Mapping`, *optional*): Options of a small model that is pretrained here; instead of a path.
        labels (`str`, *optional*): Only for `weak`: a file of labels that stands in for a model.
        trained (`bool`, *optional*, defaults to `False`): Only for `weak`: the model is a reward model already.
        options (`Mapping`): Fields of TRL's `ModelConfig`: LoRA, quantisation, dtype, attention.
        train (`Mapping`): Fields of `TrainingArguments` and `RewardConfig` for this model only.
        accelerate_config (`str`, *optional*): Name in `deepspeed_configs/` or a path.
        gpus (`float`, *optional*): GPUs of a stage on Ray without an accelerate config for GPUs; below 1 a share.
    """

    model_name_or_path: str | None = None
    pretrain: Mapping[str, Any] | None = None
    labels: str | None = None
    trained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    accelerate_config: str | None = None
    gpus: float | None = None


@dataclass(frozen=True)
class Method:
    """A loss with its options, and training options of its own.

    Args:
        loss (`Mapping`): `name` and the fields of that loss.
        train (`Mapping`): Fields of `TrainingArguments` and `RewardConfig` for this method only.
    """

    loss: Mapping[str, Any]
    train: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name (`str`): Folder of the run below `runs/`.
        task_name (`str`): Registered task.
        task_options (`Mapping`): Fields of the task.
        sizes (`Mapping`): `n_train`, `n_validation`, `n_test` (examples).
        head (`str`, *optional*): How candidates are scored; `None` takes the setting's first that fits the task.
        weak ([`ModelSpec`]): The supervisor.
        strong ([`ModelSpec`]): Student and ceiling.
        methods (`Mapping[str, Method]`): By name.
        train (`Mapping`): Training options of all models.
        seeds (`tuple[int, ...]`): Each is a whole repetition of the training.
        accelerate_config (`str`, *optional*): For both models.
        ceiling_split (`str`): What the ceiling trains on: `relabel`, the student's examples, or `weak`, as if it were a
            weak model.
        policy ([`~w2s_rm.experiment.policy_recipe.PolicySpec`], *optional*): Optimised against the reward models.
        content (`Mapping`): What was read, overrides applied.
    """

    name: str
    task_name: str
    task_options: Mapping[str, Any]
    sizes: Mapping[str, int]
    head: str | None
    weak: ModelSpec
    strong: ModelSpec
    methods: Mapping[str, Method]
    train: Mapping[str, Any]
    seeds: tuple[int, ...]
    accelerate_config: str | None
    ceiling_split: str
    policy: PolicySpec | None
    content: Mapping[str, Any]

    def models(self) -> list[ModelSpec]:
        """All models that the recipe starts from."""
        return [self.weak, self.strong, *([self.policy.model] if self.policy is not None else [])]

    def task(self) -> Task:
        """Build the task from its options."""
        task: Task = catalog.lookup("tasks", self.task_name)(**self.task_options)
        return task


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path (`Path`): The YAML file.
        overrides (`Iterable[str]`): `key=value` pairs that replace what the file says.

    Raises:
        ConfigError: All mistakes, each with its line and the nearest right name.
    """
    marked = load_marked(path, list(overrides))
    checker = Checker(marked)
    recipe = checker.recipe()
    if checker.problems:
        count = len(checker.problems)
        heading = f"{path}: {count} mistake{'s' if count > 1 else ''}:"
        raise ConfigError(join_problems(heading, checker.problems, most=50))
    return recipe


class Checker:
    """Walks the data once and collects what is wrong.

    Args:
        marked ([`~w2s_rm.experiment.marked_yaml.MarkedYaml`]): What was read.
    """

    def __init__(self, marked: MarkedYaml) -> None:
        self.marked = marked
        self.problems: list[str] = []

    def problem(self, path: KeyPath, text: str) -> None:
        self.problems.append(f"{self.marked.place(path)}: {'.'.join(path)}: {text}")

    def recipe(self) -> Recipe:
        data = self.marked.data
        self.keys((), data, _TOP)
        for name in ("task", "weak", "strong"):
            if data.get(name) is None:
                self.problem((name,), "is missing")
        task = self.mapping(("task",), data.get("task"))
        options, sizes = self.task(task)
        return Recipe(
            name=self.run_name(data.get("name")),
            task_name=str(task.get("name")),
            task_options=options,
            sizes=sizes,
            head=self.head(data.get("head"), task.get("name")),
            weak=self.model("weak", data.get("weak")),
            strong=self.model("strong", data.get("strong")),
            methods=self.methods(data.get("methods", {"naive": {"loss": {"name": "cross_entropy"}}})),
            train=self.train(("train",), data.get("train")),
            seeds=self.seeds(data.get("seeds", [0])),
            accelerate_config=self.text(("accelerate_config",), data.get("accelerate_config")),
            ceiling_split=self.ceiling_split(data.get("ceiling_split", "relabel")),
            policy=read_policy(self, data.get("policy")),
            content=data,
        )

    def keys(self, path: KeyPath, data: Mapping[str, Any], known: Iterable[str]) -> None:
        known = list(known)
        for name in data:
            if name not in known:
                self.problem((*path, str(name)), f"unknown key; {_hint(str(name), known)}")

    def mapping(self, path: KeyPath, value: Any) -> Mapping[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        self.problem(path, f"{value!r} is no mapping of keys to values")
        return {}

    def text(self, path: KeyPath, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        self.problem(path, f"{value!r} is no text")
        return None

    def run_name(self, value: Any) -> str:
        if value is None:
            self.problem(("name",), "is missing; it names the run's folder")
        elif not is_run_name(value):
            taken = ", ".join(_TAKEN_NAMES)
            self.problem(("name",), f"{value!r} cannot name a run; use letters, digits and _ ({taken} are taken)")
        return str(value)

    def task(self, task: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
        sizes = {name: task[name] for name in SIZES if task.get(name) is not None}
        for name, value in sizes.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < _LEAST_SIZE[name]:
                least = f"write a whole number, {_LEAST_SIZE[name]} or more"
                self.problem(("task", name), f"{value!r} is no number of examples; {least}")
        options = {name: value for name, value in task.items() if name not in (*SIZES, "name")}
        if not task:
            return options, sizes
        if "name" not in task:
            self.problem(("task", "name"), f"is missing; known: {', '.join(catalog.names('tasks'))}")
            return options, sizes
        known = catalog.names("tasks")
        if task["name"] not in known:
            self.problem(("task", "name"), f"no task {task['name']!r}; {nearest(str(task['name']), known)}")
            return options, sizes
        self.task_options(str(task["name"]), options)
        return options, sizes

    def task_options(self, name: str, options: dict[str, Any]) -> None:
        task_class = catalog.lookup("tasks", name)
        known = {option.name: str(option.type) for option in dataclasses.fields(task_class)}
        before = len(self.problems)
        self.keys(("task",), options, [*known, "name", *SIZES])
        required = [option.name for option in dataclasses.fields(task_class) if is_required(option)]
        for option in required:
            if options.get(option) is None:
                self.problem(("task", option), f"is missing; task {name} needs it")
        self.types(("task",), options, known)
        if len(self.problems) == before:
            self.attempt(("task",), lambda: task_class(**options))

    def head(self, value: Any, task_name: Any) -> str | None:
        if value is None or task_name not in catalog.names("tasks"):
            return None
        setting = catalog.lookup("tasks", task_name).setting
        known = catalog.lookup("settings", setting).heads
        if value not in known:
            self.problem(("head",), f"{value!r} is no head of setting {setting}; {nearest(str(value), known)}")
        return str(value)

    def ceiling_split(self, value: Any) -> str:
        if value not in _CEILING_SPLITS:
            self.problem(
                ("ceiling_split",), f"{value!r} is no split to train on; {nearest(str(value), _CEILING_SPLITS)}"
            )
        return str(value)

    def gpus(self, path: KeyPath, value: Any) -> float | None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and value >= 0 and (value <= 1 or float(value).is_integer())):
            self.problem(path, f"{value!r} is no number of GPUs; write a whole number, or a share such as 0.5")
            return None
        return value

    def types(self, path: KeyPath, options: Mapping[str, Any], known: Mapping[str, str]) -> None:
        for name, value in options.items():
            wrong = type_problem(value, known.get(name, "Any"))
            if wrong:
                self.problem((*path, name), wrong)

    def attempt(self, path: KeyPath, build: Any) -> None:
        try:
            build()
        except W2SError as error:
            self.problem(path, str(error).replace("\n", "\n  "))

    def model(self, role: str, value: Any) -> ModelSpec:
        path, data = (role,), self.mapping((role,), value)
        own = {"weak": _WEAK, "policy": (*_MODEL, *POLICY_KEYS)}.get(role, _MODEL)
        options_known = {name: kind for name, kind in model_fields().items() if name != "model_name_or_path"}
        self.keys(path, data, [*own, *options_known])
        options = {name: data[name] for name in data if name in options_known}
        self.types(path, options, options_known)
        self.values(path, options)
        possible = (
            ("model_name_or_path", "pretrain", "labels") if role == "weak" else ("model_name_or_path", "pretrain")
        )
        sources = [name for name in possible if data.get(name) is not None]
        if value is not None and len(sources) != 1:
            given = f", not {' and '.join(sources)}" if sources else ""
            self.problem(path, f"give exactly one of {', '.join(possible)}{given}")
        trained = data.get("trained", False)
        if not isinstance(trained, bool) or (trained and "model_name_or_path" not in sources):
            self.problem((*path, "trained"), "is true or false, and goes with model_name_or_path")
        return ModelSpec(
            model_name_or_path=self.text((*path, "model_name_or_path"), data.get("model_name_or_path")),
            pretrain=self.pretrain((*path, "pretrain"), data.get("pretrain")),
            labels=self.text((*path, "labels"), data.get("labels")) if role == "weak" else None,
            trained=bool(trained),
            options=options,
            train=self.train((*path, "train"), data.get("train")),
            accelerate_config=self.text((*path, "accelerate_config"), data.get("accelerate_config")),
            gpus=self.gpus((*path, "gpus"), data.get("gpus")),
        )

    def pretrain(self, path: KeyPath, value: Any) -> Mapping[str, Any] | None:
        if value is None:
            return None
        from w2s_rm.pretraining import Pretraining

        data, before = self.mapping(path, value), len(self.problems)
        known = {option.name: str(option.type) for option in dataclasses.fields(Pretraining)}
        self.keys(path, data, known)
        self.types(path, {name: data[name] for name in data if name != "corpus"}, known)
        if data.get("corpus") is not None:
            self.corpus((*path, "corpus"), data["corpus"])
        if len(self.problems) == before:
            self.attempt(path, lambda: Pretraining(**data))
        return data

    def corpus(self, path: KeyPath, value: Any) -> None:
        corpus, known = self.mapping(path, value), catalog.names("corpora")
        if corpus.get("name") not in known:
            given = corpus.get("name")
            self.problem((*path, "name"), f"no corpus {given!r}; {nearest(str(given), known)}")
            return
        fields = dataclasses.fields(catalog.lookup("corpora", str(corpus["name"])))
        options = {name: value for name, value in corpus.items() if name != "name"}
        self.keys(path, options, [option.name for option in fields])
        self.types(path, options, {option.name: str(option.type) for option in fields})
        for option in fields:
            if is_required(option) and options.get(option.name) is None:
                self.problem((*path, option.name), f"is missing; corpus {corpus['name']} needs it")

    def methods(self, value: Any) -> dict[str, Method]:
        methods = {}
        for name, entry in self.mapping(("methods",), value).items():
            path, before = ("methods", str(name)), len(self.problems)
            data = self.mapping(path, entry)
            self.keys(path, data, _METHOD)
            loss = data.get("loss", {})
            loss = {"name": loss} if isinstance(loss, str) else self.mapping((*path, "loss"), loss)
            if loss or len(self.problems) == before:
                self.loss((*path, "loss"), loss)
            methods[str(name)] = Method(loss, self.train((*path, "train"), data.get("train")))
        if not methods:
            self.problem(("methods",), "names no method; for example naive: {loss: {name: cross_entropy}}")
        return methods

    def loss(self, path: KeyPath, loss: Mapping[str, Any]) -> None:
        known = catalog.names("losses")
        if loss.get("name") is None:
            self.problem((*path, "name"), f"is missing; known: {', '.join(known)}")
            return
        if loss["name"] not in known:
            self.problem((*path, "name"), f"no loss {loss['name']!r}; {nearest(str(loss['name']), known)}")
            return
        options = {name: value for name, value in loss.items() if name != "name"}
        loss_class, before = catalog.lookup("losses", loss["name"]), len(self.problems)
        fields = {option.name: str(option.type) for option in dataclasses.fields(loss_class)}
        self.keys(path, options, fields)
        self.types(path, options, fields)
        if len(self.problems) == before:
            self.attempt(path, lambda: loss_class(**options))

    def train(self, path: KeyPath, value: Any) -> Mapping[str, Any]:
        data = self.mapping(path, value)
        for name in data:
            if name in _RESERVED:
                self.problem((*path, name), f"is set by {_RESERVED[name]}")
        self.keys(path, {name: data[name] for name in data if name not in _RESERVED}, training_fields())
        self.types(path, data, training_fields())
        for name in _AT_LEAST_ONE:
            if isinstance(data.get(name), int) and data[name] < 1:
                self.problem((*path, name), f"is {data[name]}; use 1 or more")
        self.values(path, data)
        return data

    def values(self, path: KeyPath, options: Mapping[str, Any]) -> None:
        for name, wrong in value_problems(options):
            self.problem((*path, name), wrong)

    def seeds(self, value: Any) -> tuple[int, ...]:
        if not isinstance(value, list) or not value or not all(map(_is_seed, value)):
            self.problem(("seeds",), f"{value!r} is no list of whole numbers from 0 up, for example [0, 1, 2]")
            return ()
        if len(set(value)) != len(value):
            self.problem(("seeds",), f"{value} repeats a seed")
        return tuple(value)


def is_run_name(value: Any) -> bool:
    """Whether a value can name a run's folder.

    Args:
        value (`Any`): From YAML.
    """
    return isinstance(value, str) and bool(re.fullmatch(r"\w[\w.-]*", value)) and value not in _TAKEN_NAMES


def _is_seed(value: Any) -> bool:
    # numpy takes seeds of 32 bits.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _hint(name: str, known: list[str]) -> str:
    """Say where an unknown key belongs, or which known one is near."""
    homes = [
        home
        for home, names in (("train", training_fields()), ("weak or strong", model_fields()), ("task", SIZES))
        if name in names and name not in known
    ]
    if homes:
        return f"it belongs under {homes[0]}"
    hint = nearest(name, known)
    if len(known) > _MANY and hint.startswith("known"):
        return f"none of the {len(known)} options that are known here is like it"
    return hint
