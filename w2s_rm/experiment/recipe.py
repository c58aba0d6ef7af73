"""A recipe: one YAML file that says everything about an experiment. Checked strictly, all mistakes at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_rm import bundled, catalog, options
from w2s_rm.data.splits import SIZES
from w2s_rm.errors import ConfigError, join_problems, nearest
from w2s_rm.experiment.evaluation_route import evaluation_problems
from w2s_rm.experiment.fields import language_model_fields, model_fields, training_fields
from w2s_rm.experiment.further_recipe import FurtherTask, read_further, read_task
from w2s_rm.experiment.marked_yaml import KeyPath, MarkedYaml, load_marked
from w2s_rm.experiment.policy_recipe import POLICY_KEYS, PolicySpec, read_policy
from w2s_rm.experiment.tune_recipe import Values, part_values, read_tune
from w2s_rm.experiment.values import value_problems
from w2s_rm.features.options import ANNOTATIONS, FeatureOptions, feature_mistakes
from w2s_rm.options import Mistake
from w2s_rm.roles import JUDGED
from w2s_rm.settings import find_setting
from w2s_rm.training.evaluations import EVALUATION_OPTIONS, evaluation_mistakes
from w2s_rm.types import Task

# Folders of the toolkit itself below `runs/`.
_TAKEN_NAMES = ("stages", "report", "launched")
# More known names than a message should list.
_MANY = 25
# Whose options a field of a preparation holds, by its metadata.
_TRAINERS = {"reward": training_fields, "language_model": language_model_fields}
_MODELS = ("weak", "strong", "policy")
_TOP = (
    *("name", "task", "also_evaluate", "head", *_MODELS, "models", "methods", "compare_to"),
    *("train", "tune", "seeds", "accelerate_config", "ceiling_split", "saliency"),
)
_MODEL = ("model_name_or_path", "pretrain", "train", "accelerate_config", "gpus")
_TRAINED = (*_MODEL, "tune")
_WEAK = (*_TRAINED, "labels", "trained")
_CEILING_SPLITS = ("relabel", "weak")
# What the toolkit sets itself, with where the user says it instead.
_RESERVED = {
    "output_dir": "the run's folder",
    "seed": "seeds",
    "run_name": "name",
    "deepspeed": "accelerate_config",
    "resume_from_checkpoint": "nothing: an interrupted run resumes by itself",
    "max_train_samples": "task.n_train",
    "hub_token": "your login to the hub: `hf auth login`, or HF_TOKEN in the environment",
}


@dataclass(frozen=True)
class ModelSpec:
    """Where a model comes from and how it is trained.

    Args:
        model_name_or_path (`str`, *optional*): Hub id, folder, or `package:<module>/<folder>`.
        pretrain (`Mapping`, *optional*): Options of a small model that is pretrained here; instead of a path. With the
            seed `by_seed` each seed of the recipe has a model of its own.
        labels (`str`, *optional*): Only for `weak`: a file of labels that stands in for a model.
        trained (`bool`, *optional*, defaults to `False`): Only for `weak`: the model is a reward model already.
        options (`Mapping`): Fields of TRL's `ModelConfig`: LoRA, quantisation, dtype, attention.
        train (`Mapping`): Fields of `TrainingArguments` and `RewardConfig` for this model only.
        tune (`Mapping[str, tuple]`): Values to choose from in place of the recipe's own.
        accelerate_config (`str`, *optional*): Name in `deepspeed_configs/` or a path.
        gpus (`float`, *optional*): GPUs of a stage on Ray without an accelerate config for GPUs; below 1 a share.
    """

    model_name_or_path: str | None = None
    pretrain: Mapping[str, Any] | None = None
    labels: str | None = None
    trained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    tune: Values = field(default_factory=dict)
    accelerate_config: str | None = None
    gpus: float | None = None


@dataclass(frozen=True)
class Method:
    """How students are supervised and trained.

    Args:
        loss (`Mapping`): `name` and the fields of that loss.
        train (`Mapping`): Fields of `TrainingArguments` and `RewardConfig` for this method only.
        supervisor (`Mapping`, *optional*): `name` and options of a supervisor of its own; by default that of the part
            `weak`, which methods share.
        labels (`tuple[Mapping, ...]`): Transforms of the labels, in their order.
        before (`tuple[Mapping, ...]`): Preparations of the student and of the ceiling that it is compared with.
        rounds (`int`): How often students are trained, each but the first on the labels of the one before.
        model (`str`): The part of the recipe that describes the student: `strong`, or `weak` for a control in which
            only the labels are new.
    """

    loss: Mapping[str, Any]
    train: Mapping[str, Any] = field(default_factory=dict)
    supervisor: Mapping[str, Any] | None = None
    labels: tuple[Mapping[str, Any], ...] = ()
    before: tuple[Mapping[str, Any], ...] = ()
    rounds: int = 1
    model: str = "strong"


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name (`str`): Folder of the run below `runs/`.
        task_name (`str`): Registered task.
        task_label (`str`): Its name for display.
        task_options (`Mapping`): Fields of the task.
        sizes (`Mapping`): Fields of [`~w2s_rm.data.splits.SplitSizes`], as far as they are given.
        head (`str`, *optional*): How candidates are scored; `None` takes the setting's first that fits the task.
        weak ([`ModelSpec`]): The supervisor.
        strong ([`ModelSpec`]): Student and ceiling.
        more (`Mapping[str, ModelSpec]`): Further models by name, for supervisors that take several.
        methods (`Mapping[str, Method]`): By name.
        compare_to (`str`): The method whose students the report sets those of the others beside.
        train (`Mapping`): Training options of all models.
        tune (`Mapping[str, tuple]`): Values to choose from, by training option or `loss.<field>`.
        seeds (`tuple[int, ...]`): Each is a whole repetition of the training.
        accelerate_config (`str`, *optional*): For both models.
        ceiling_split (`str`): What the ceiling trains on: `relabel`, the student's examples, or `weak`, as if it were a
            weak model.
        policy ([`~w2s_rm.experiment.policy_recipe.PolicySpec`], *optional*): Optimised against the reward models.
        also_evaluate (`tuple[FurtherTask, ...]`): Further tasks on which its models are scored.
        saliency ([`~w2s_rm.features.options.FeatureOptions`], *optional*): The hidden states of the strong model in
            which its supervisors' mistakes are looked for.
        content (`Mapping`): What was read, overrides applied.
        places (`Mapping`): The line of each key.
    """

    name: str
    task_name: str
    task_label: str
    task_options: Mapping[str, Any]
    sizes: Mapping[str, Any]
    head: str | None
    weak: ModelSpec
    strong: ModelSpec
    more: Mapping[str, ModelSpec]
    methods: Mapping[str, Method]
    compare_to: str
    train: Mapping[str, Any]
    tune: Values
    seeds: tuple[int, ...]
    accelerate_config: str | None
    ceiling_split: str
    policy: PolicySpec | None
    also_evaluate: tuple[FurtherTask, ...]
    saliency: FeatureOptions | None
    content: Mapping[str, Any]
    # For messages alone: recipes that say the same are equal, wherever their keys stand.
    places: Mapping[KeyPath, str] = field(default_factory=dict, compare=False, repr=False)

    def models(self) -> dict[str, ModelSpec]:
        """All models that the recipe starts from, by the part or name that describes them."""
        policy = {"policy": self.policy.model} if self.policy is not None else {}
        return {"weak": self.weak, **self.more, "strong": self.strong, **policy}

    def place(self, *keys: str) -> str:
        """Name a place of the recipe for a message: file or line, then the keys.

        Args:
            keys (`str`): From the top down.
        """
        # What a command line replaces as a whole has one place.
        above = (self.places[keys[:depth]] for depth in range(len(keys), 0, -1) if keys[:depth] in self.places)
        return f"{next(above, 'recipe')}: {'.'.join(keys)}"

    def keys_of_part(self, part: str) -> tuple[str, ...]:
        """Return the keys under which a model is described.

        Args:
            part (`str`): As in [`models`].
        """
        return ("models", part) if part in self.more else (part,)

    def keys_of_option(self, option: str, value: Any, part: str, method: str | None) -> tuple[str, ...]:
        """Return the keys under which a training option of a model has a value.

        Args:
            option (`str`): Its name.
            value (`Any`): Its value, which the recipe gives for this model.
            part (`str`): The part of the recipe that describes the model.
            method (`str`, *optional*): The method that it belongs to.
        """
        model = self.keys_of_part(part)
        by_keys: dict[tuple[str, ...], Mapping[str, Any]] = {model: self.models()[part].train, (): self.train}
        if method is not None:
            by_keys = {("methods", method): self.methods[method].train, **by_keys}
        # The nearest that says so: a model may belong to a method and not have its options.
        keys = next(keys for keys, train in by_keys.items() if train.get(option) == value)
        return (*keys, "train", option)

    def task(self) -> Task:
        """Build the task from its options."""
        task: Task = options.build("tasks", {**self.task_options, "name": self.task_name})
        return task


def load_recipe(path: Path, overrides: Iterable[str] = (), replacing: MarkedYaml | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path (`Path`): The YAML file.
        overrides (`Iterable[str]`): `key=value` pairs that replace what the file says.
        replacing ([`~w2s_rm.experiment.marked_yaml.MarkedYaml`], *optional*): Values from another file that do so
            before.

    Raises:
        ConfigError: All mistakes, each with its line and the nearest right name.
    """
    marked = load_marked(path, list(overrides), replacing)
    checker = Checker(marked)
    recipe = checker.checked()
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
        self.refused: set[KeyPath] = set()

    def problem(self, path: KeyPath, text: str) -> None:
        self.refused.add(path)
        self.problems.append(f"{self.marked.place(path)}: {'.'.join(path)}: {text}")

    def checked(self) -> Recipe:
        """Build the recipe, and look at what only fits or does not fit together."""
        recipe = self.recipe()
        # Of a recipe that is right so far: these look at options together, and take their types for granted.
        if not self.problems:
            # The options of several models may stand in one place.
            for keys, wrong in dict.fromkeys(evaluation_problems(recipe)):
                self.problem(keys, wrong)
        return recipe

    def recipe(self) -> Recipe:
        data = self.marked.data
        self.keys((), data, _TOP)
        for name in ("task", "weak", "strong"):
            if data.get(name) is None:
                self.problem((name,), "is missing")
        task = self.mapping(("task",), data.get("task"))
        label, task_options, sizes = self.task(task, is_mapping=isinstance(data.get("task"), dict))
        recipe = Recipe(
            name=self.run_name(data.get("name")),
            task_name=str(task.get("name")),
            task_label=label,
            task_options=task_options,
            sizes=sizes,
            head=self.head(data.get("head"), task.get("name")),
            weak=self.model("weak", data.get("weak")),
            strong=self.model("strong", data.get("strong")),
            more=self.more(data.get("models")),
            methods=(methods := self.methods(data.get("methods", {"naive": {"loss": {"name": "cross_entropy"}}}))),
            compare_to=self.compare_to(data.get("compare_to"), list(methods)),
            train=self.train(("train",), data.get("train")),
            tune={},
            seeds=self.seeds(data.get("seeds", [0])),
            accelerate_config=self.text(("accelerate_config",), data.get("accelerate_config")),
            ceiling_split=self.ceiling_split(data.get("ceiling_split", "relabel")),
            policy=read_policy(self, data.get("policy")),
            also_evaluate=read_further(self, data.get("also_evaluate")),
            saliency=self.saliency(data.get("saliency")),
            content=data,
            places=self.marked.lines,
        )
        # Last, for it asks what the methods' losses are.
        return dataclasses.replace(recipe, tune=read_tune(self, data.get("tune"), recipe.methods))

    def keys(self, path: KeyPath, data: Mapping[str, Any], known: Iterable[str]) -> None:
        known = list(known)
        for name in data:
            if name not in known:
                self.problem((*path, str(name)), f"unknown key; {_hint(str(name), known)}")

    def mapping(self, path: KeyPath, value: Any) -> Mapping[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        # An empty one takes its place, so that the rest of the recipe is checked in the same go.
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

    def task(self, task: Mapping[str, Any], is_mapping: bool) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        # Missing, or something else: that was said, and nothing in it can be asked.
        if not is_mapping:
            return "", {}, {}
        # Sizes allow it, for further tasks, on which nothing is trained.
        if task.get("n_train") == 0:
            self.problem(
                ("task", "n_train"), "is 0, and weak model and student would be trained on nothing; use 2 or more"
            )
        return read_task(self, ("task",), task)

    def head(self, value: Any, task_name: Any) -> str | None:
        if value is None or not catalog.knows("tasks", str(task_name)):
            return None
        setting = catalog.lookup("tasks", task_name).setting
        known = find_setting(setting).heads
        if value not in known:
            self.problem(("head",), f"{value!r} is no head of setting {setting}; {nearest(str(value), known)}")
        return str(value)

    def ceiling_split(self, value: Any) -> str:
        if value not in _CEILING_SPLITS:
            self.problem(
                ("ceiling_split",), f"{value!r} is no split to train on; {nearest(str(value), _CEILING_SPLITS)}"
            )
        return str(value)

    def saliency(self, value: Any) -> FeatureOptions | None:
        if value is None:
            return None
        path, before = ("saliency",), len(self.problems)
        data = self.mapping(path, value)
        self.report(path, options.option_mistakes(FeatureOptions, data, "saliency", _hint))
        return FeatureOptions(**data) if len(self.problems) == before else None

    def gpus(self, path: KeyPath, value: Any) -> float | None:
        # Ray shares one GPU among several tasks, or gives whole ones to a single task.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and value >= 0 and (value <= 1 or float(value).is_integer())):
            self.problem(path, f"{value!r} is no number of GPUs; write a whole number, or a share such as 0.5")
            return None
        return value

    def report(self, path: KeyPath, mistakes: Iterable[Mistake]) -> None:
        for mistake in mistakes:
            # A mistake of several lines stays one item of the list.
            self.problem((*path, *mistake.path), mistake.text.replace("\n", "\n  "))

    def model(self, role: str, value: Any, at: KeyPath | None = None) -> ModelSpec:
        path = at or (role,)
        data = self.mapping(path, value)
        own_keys = {"weak": _WEAK, "policy": (*_MODEL, *POLICY_KEYS)}.get(role, _TRAINED)
        # It is among the part's own keys, and checked below.
        known = {name: kind for name, kind in model_fields().items() if name != "model_name_or_path"}
        self.keys(path, data, [*own_keys, *known])
        config = {name: data[name] for name in data if name in known}
        self.report(path, options.known_mistakes(config, known))
        self.values(path, config)
        possible = (
            ("model_name_or_path", "pretrain", "labels") if role == "weak" else ("model_name_or_path", "pretrain")
        )
        sources = [name for name in possible if data.get(name) is not None]
        # That a part is missing as a whole was said already.
        if value is not None and len(sources) != 1:
            instead = f", not {' and '.join(sources)}" if sources else ""
            self.problem(path, f"give exactly one of {', '.join(possible)}{instead}")
        trained = data.get("trained", False)
        if not isinstance(trained, bool) or (trained and "model_name_or_path" not in sources):
            self.problem((*path, "trained"), "is true or false, and goes with model_name_or_path")
        return ModelSpec(
            model_name_or_path=self.text((*path, "model_name_or_path"), data.get("model_name_or_path")),
            pretrain=self.pretrain((*path, "pretrain"), data.get("pretrain")),
            labels=self.text((*path, "labels"), data.get("labels")) if role == "weak" else None,
            trained=bool(trained),
            options=config,
            train=self.train((*path, "train"), data.get("train")),
            tune=part_values(data.get("tune")),
            accelerate_config=self.text((*path, "accelerate_config"), data.get("accelerate_config")),
            gpus=self.gpus((*path, "gpus"), data.get("gpus")),
        )

    def pretrain(self, path: KeyPath, value: Any) -> Mapping[str, Any] | None:
        if value is None:
            return None
        from w2s_rm.training.pretraining import Pretraining, pretrained_by

        data = self.mapping(path, value)
        # Of any seed: options are right or wrong for all.
        self.report(path, options.option_mistakes(Pretraining, pretrained_by(data, 0), "pretrain", _hint))
        return data

    def methods(self, value: Any) -> dict[str, Method]:
        methods = {}
        for name, entry in self.mapping(("methods",), value).items():
            path, before = ("methods", str(name)), len(self.problems)
            if name in JUDGED:
                self.problem(path, f"{name} is what reports call a model in its role; give the method another name")
            data = self.mapping(path, entry)
            self.keys(path, data, [option.name for option in dataclasses.fields(Method)])
            supervisor, loss = data.get("supervisor"), data.get("loss")
            # What stands there in its place was reported already.
            in_place = loss is None and len(self.problems) > before
            methods[str(name)] = Method(
                {} if in_place else self.component((*path, "loss"), "losses", {} if loss is None else loss),
                self.train((*path, "train"), data.get("train")),
                None if supervisor is None else self.component((*path, "supervisor"), "supervisors", supervisor),
                self.components((*path, "labels"), "labels", data.get("labels")),
                self.preparations((*path, "before"), data.get("before")),
                self.rounds((*path, "rounds"), data.get("rounds", 1)),
                self.student((*path, "model"), data.get("model", "strong")),
            )
        if not methods:
            self.problem(("methods",), "names no method; for example naive: {loss: {name: cross_entropy}}")
        return methods

    def compare_to(self, value: Any, methods: Sequence[str]) -> str:
        if value is None:
            return next(iter(methods), "")
        if value not in methods:
            self.problem(("compare_to",), f"{value!r} is no method of this recipe; {nearest(str(value), methods)}")
        return str(value)

    def more(self, value: Any) -> dict[str, ModelSpec]:
        models = {}
        for name, entry in self.mapping(("models",), value).items():
            if name in _MODELS:
                self.problem(("models", str(name)), "is a part of every recipe; give the model another name")
            elif entry is None:
                self.problem(("models", str(name)), "is missing; give model_name_or_path or pretrain")
            # With the keys of `strong`: a file of labels, and a model that is trained already, belong to `weak`.
            models[str(name)] = self.model("strong", entry, ("models", str(name)))
        return models

    def components(self, path: KeyPath, kind: catalog.Kind, value: Any) -> tuple[dict[str, Any], ...]:
        if value is not None and not isinstance(value, list):
            self.problem(path, f"{value!r} is no list; write [{{name: …}}, …]")
            return ()
        return tuple(self.component((*path, str(n)), kind, entry) for n, entry in enumerate(value or ()))

    def preparations(self, path: KeyPath, value: Any) -> tuple[dict[str, Any], ...]:
        before = len(self.problems)
        entries = self.components(path, "preparations", value)
        named = [entry.get("name") for entry in entries]
        for number, name in enumerate(named):
            if name is not None and name in named[:number]:
                self.problem((*path, str(number)), f"{name} stands twice; leave one of them out")
        # The class of an entry that is wrong already may not be there.
        for number, entry in enumerate(entries if len(self.problems) == before else ()):
            for option in dataclasses.fields(catalog.lookup("preparations", entry["name"])):
                if "trainer" in option.metadata and option.name in entry:
                    own = (*path, str(number), option.name)
                    self.known(own, entry[option.name], _TRAINERS[option.metadata["trainer"]](), _RESERVED)
                    self.values(own, entry[option.name])
        return entries

    def component(self, path: KeyPath, kind: catalog.Kind, value: Any, beside: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(value, str | dict):
            self.problem(path, f"{value!r} is no {catalog.singular(kind)}; write its name, or name and options")
            return {}
        # What may stand beside the component's own options, as sizes beside those of a task, is offered as well.
        self.report(path, options.mistakes(kind, value, lambda name, known: _hint(name, [*known, *beside])))
        return options.named(value)

    def rounds(self, path: KeyPath, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.problem(path, f"{value!r} is no number of rounds; write a whole number, 1 or more")
            return 1
        return value

    def student(self, path: KeyPath, value: Any) -> str:
        if value not in ("strong", "weak"):
            self.problem(path, f"{value!r} is no part of the recipe; {nearest(str(value), ('strong', 'weak'))}")
        return str(value)

    def train(self, path: KeyPath, value: Any) -> Mapping[str, Any]:
        data = self.mapping(path, value)
        self.known(path, data, {**training_fields(), **ANNOTATIONS, **EVALUATION_OPTIONS}, _RESERVED)
        self.report(path, feature_mistakes(data))
        self.report(path, evaluation_mistakes(data))
        self.values(path, data)
        template = data.get("chat_template_path")
        # A recipe that comes along names a template that comes along.
        return {**data, "chat_template_path": str(bundled.find(template))} if isinstance(template, str) else data

    def known(
        self,
        path: KeyPath,
        data: Mapping[str, Any],
        known: Mapping[str, str],
        reserved: Mapping[str, str],
        subject: str | None = None,
    ) -> None:
        for name in data:
            if name in reserved:
                self.problem((*path, name), f"is set by {reserved[name]}")
        # The trainers know reserved names too; those are refused above.
        free = {name: value for name, value in data.items() if name not in reserved}
        self.report(path, options.known_mistakes(free, known, subject, _hint))

    def values(self, path: KeyPath, options: Mapping[str, Any]) -> None:
        # Of another type it was refused, and what is asked of a value takes its type for granted.
        typed = {name: value for name, value in options.items() if (*path, name) not in self.refused}
        for name, wrong in value_problems(typed):
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
    # It becomes a folder, a part of commands and of names on the hub.
    return isinstance(value, str) and bool(re.fullmatch(r"\w[\w.-]*", value)) and value not in _TAKEN_NAMES


def _is_seed(value: Any) -> bool:
    # numpy takes seeds of 32 bits.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _hint(name: str, known: Sequence[str]) -> str:
    """Say where an unknown key belongs, or which known one is near."""
    # A name that is known elsewhere stands in the wrong place: to be told what is spelled like it would mislead.
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
