"""From a recipe to its stages: what each reads, what its folder is called, how it is launched."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.data.cache import cache_folder
from w2s_rm.data.reading import content_version, resolve_path
from w2s_rm.errors import ConfigError, W2SError, join_problems
from w2s_rm.experiment.places import (
    find_accelerate_config,
    find_labels,
    model_version,
    read_accelerate_config,
    resolve_model,
)
from w2s_rm.experiment.recipe import ModelSpec, Recipe
from w2s_rm.experiment.stage import Stage
from w2s_rm.types import content_hash

# Raise a stage's version when the same config gives another result.
ALGORITHM_VERSIONS = {
    "prepare": 6,
    "pretrain": 1,
    "weak": 3,
    "relabel": 3,
    "student": 3,
    "ceiling": 3,
    "evaluate": 3,
    "policy": 1,
}
# What names a place: the hashes of the inputs stand for the content. A policy's task is that of its examples.
_PATHS = ("examples", "labels", "model_name_or_path", "other_examples", "prompts", "reward_model", "task")
# Fields that say how a stage is run, watched or stored, and not what it computes.
_LAUNCH_WORDS = """
run_name report_to logging_strategy logging_steps logging_first_step log_level log_level_replica log_on_each_node
disable_tqdm save_strategy save_steps save_total_limit save_on_each_node eval_strategy
dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataset_num_proc
per_device_train_batch_size gradient_accumulation_steps per_device_eval_batch_size eval_accumulation_steps
layout max_tokens_per_batch
ddp_timeout push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push hub_revision
project trackio_space_id trackio_bucket_id trackio_static_space_id
include_num_input_tokens_seen torch_empty_cache_steps
"""
_LAUNCH_ONLY = frozenset(_LAUNCH_WORDS.split())
_SCORING_WORDS = """
max_length per_device_eval_batch_size layout max_tokens_per_batch dataloader_num_workers
bf16 fp16 bf16_full_eval fp16_full_eval tf32 use_cpu use_liger_kernel
trust_remote_code pad_to_multiple_of chat_template_path eos_token pad_token model_init_kwargs disable_tqdm
"""
_SCORING = _SCORING_WORDS.split()
_LOADING = ("model_revision", "dtype", "attn_implementation")


@dataclass(frozen=True)
class Plan:
    """The stages of a recipe in an order in which each finds its inputs.

    Args:
        recipe ([`Recipe`]): What was planned.
        stages (`list[Stage]`): Without repetition.
        run_folder (`Path`): `runs/<recipe>`.
    """

    recipe: Recipe
    stages: list[Stage]
    run_folder: Path

    def record(self) -> dict[str, Any]:
        """Return the content of `plan.json`."""
        recipe = self.recipe
        return {
            "recipe": recipe.name,
            "setting": recipe.task().setting,
            "task": recipe.task_name,
            "head": choose_head(recipe, recipe.task()),
            "weak_model": model_label(recipe.weak),
            "strong_model": model_label(recipe.strong),
            "supervisor": "labels" if recipe.weak.labels else "model",
            "seeds": list(recipe.seeds),
            "methods": list(recipe.methods),
            **_policy_record(recipe),
            "stages": [
                {
                    "stage": stage.stage,
                    "of": stage.of,
                    "method": stage.method,
                    "seed": stage.seed,
                    "policy": stage.policy,
                    "folder": str(stage.folder),
                }
                for stage in self.stages
            ],
        }


def model_label(spec: ModelSpec) -> str:
    """Return a short name of a model for tables: the last parts of its path, or the shape of one pretrained here."""
    if spec.labels:
        return Path(spec.labels).name
    if spec.pretrain is not None:
        from w2s_rm.pretraining import Pretraining

        options = Pretraining(**spec.pretrain)
        return f"pretrained {options.num_hidden_layers}x{options.hidden_size}"
    name = str(spec.model_name_or_path)
    in_package = name.startswith("package:")
    short = name.removeprefix("package:").split("/")[0] if in_package else "/".join(name.split("/")[-2:])
    layers = dict(spec.train.get("model_init_kwargs") or {}).get("num_hidden_layers")
    return f"{short} ({layers} layer{'s' if layers != 1 else ''})" if layers else short


def _policy_record(recipe: Recipe) -> dict[str, Any]:
    if recipe.policy is None:
        return {}
    policy = recipe.policy
    return {
        "policy": {
            "model": model_label(policy.model),
            "methods": list(policy.methods),
            "max_completion_length": policy.max_completion_length,
            "samples": policy.samples,
        }
    }


def choose_head(recipe: Recipe, task: Any) -> str:
    """Return how a recipe's models score candidates: as it says, else the setting's first head that fits the task.

    Args:
        recipe ([`Recipe`]): The recipe.
        task ([`~w2s_rm.types.Task`]): Its task.

    Raises:
        ConfigError: A head with a logit for each class, and candidates that are no classes.
    """
    fitting = [
        head
        for head in catalog.lookup("settings", task.setting).heads
        if head != "classification" or task.classes is not None
    ]
    if recipe.head is not None and recipe.head not in fitting:
        raise ConfigError(
            f"head {recipe.head} needs fixed classes, and the candidates of task {recipe.task_name} differ from "
            f"example to example; use head {' or '.join(fitting)}, or another form of the task"
        )
    return recipe.head or fitting[0]


def make_plan(recipe: Recipe, runs_folder: Path) -> Plan:
    """Plan a recipe.

    Args:
        recipe ([`Recipe`]): The checked recipe.
        runs_folder (`Path`): Where runs are kept, usually `runs`.

    Raises:
        ConfigError: A path of the recipe does not exist, or the recipe needs ground truth that its task lacks.
    """
    if runs_folder.exists() and not runs_folder.is_dir():
        raise ConfigError(f"--runs {runs_folder}: is a file; name a folder")
    planner = _Planner(recipe, runs_folder.resolve())
    planner.run()
    # Mistakes in data and label files show before anything slow begins.
    stages = sorted(planner.stages.values(), key=lambda stage: stage.loads_model)
    return Plan(recipe, stages, runs_folder.resolve() / recipe.name)


@dataclass
class _Planner:
    recipe: Recipe
    runs_folder: Path
    stages: dict[Path, Stage] = field(default_factory=dict)
    prepared: Stage = field(init=False)
    encoding: dict[str, Any] = field(init=False)

    def run(self) -> None:
        recipe, task = self.recipe, self.recipe.task()
        truth = task.has_ground_truth
        if not truth and not (recipe.weak.labels or recipe.weak.trained):
            raise ConfigError(
                f"task {recipe.task_name} has no ground truth to train a weak model on; "
                "set weak.labels to a file of labels, or weak.trained: true for a model that is a reward model already"
            )
        self.find_all(task)
        weak, strong = self.base(recipe.weak), self.base(recipe.strong)
        assert strong is not None
        if truth and self.encoding["head"] == "lm":
            # Scored as the student is, merged and in full: neither quantised nor with an adapter.
            kept = {name: value for name, value in recipe.strong.options.items() if name in _LOADING}
            plain = dataclasses.replace(recipe.strong, options=kept)
            self.evaluate("zero_shot", None, strong[1], plain, path=strong[0])
        for seed in recipe.seeds:
            labels = self.supervise(seed, weak)
            for method in recipe.methods:
                student = self.train("student", seed, strong, method=method, labels=labels)
                self.evaluate("student", seed, student, recipe.strong, method)
                self.policies("student", seed, student, method=method)
            if truth:
                ceiling = self.ceiling(seed, strong)
                self.evaluate("ceiling", seed, ceiling, recipe.strong)
                self.policies("ceiling", seed, ceiling)

    def find_all(self, task: Any) -> None:
        """Plan the preparation; report everything that is not where the recipe says in one message."""
        steps: list[Callable[[], object]] = [
            functools.partial(self.choose_encoding, task),
            functools.partial(self.prepare, task),
        ]
        for spec in self.recipe.models():
            steps.append(functools.partial(self.accelerate_config, spec))
            steps.append(functools.partial(self.check_world, spec, task))
            if spec.labels is not None:
                steps.append(functools.partial(find_labels, spec.labels))
            if spec.pretrain is not None:
                steps.append(functools.partial(self.base, spec))
            if spec.model_name_or_path is not None:
                steps.append(functools.partial(resolve_model, spec.model_name_or_path))
        problems: dict[str, None] = {}
        for step in steps:
            try:
                step()
            except W2SError as error:
                problems[str(error)] = None
        if problems:
            raise ConfigError(join_problems(f"recipe {self.recipe.name} cannot be planned:", list(problems)))

    def check_world(self, spec: ModelSpec, task: Any) -> None:
        """Refuse a model pretrained on another world than the one its task asks about."""
        if spec.pretrain is None:
            return
        from w2s_rm.pretraining import Pretraining

        model, asked = Pretraining(**spec.pretrain).resolved()["corpus"], dataclasses.asdict(task)
        model = {name: value for name, value in model.items() if name not in ("name", "path")}
        wrong = [
            f"{name} is {model[name]} in pretrain, {asked[name]} in task"
            for name in model.keys() & asked.keys()
            if model[name] != asked[name]
        ]
        if wrong:
            raise ConfigError(f"the models know another world than the task asks about: {'; '.join(sorted(wrong))}")

    def choose_encoding(self, task: Any) -> None:
        """Decide what says how examples of the task become scores."""
        head, classes = choose_head(self.recipe, task), task.classes
        if self.recipe.policy is not None and head != "reward":
            raise ConfigError(f"policy: rewards come from head reward, and this recipe's models have head {head}")
        self.encoding = {"setting": task.setting, "head": head, "classes": None if classes is None else list(classes)}

    def add(self, name: str, config: dict[str, Any], inputs: dict[str, Stage | str], **roles: Any) -> Stage:
        hashes = {key: value if isinstance(value, str) else value.hash for key, value in inputs.items()}
        spec: ModelSpec | None = roles.pop("spec", None)
        launch = self.accelerate_config(spec)
        content = {key: value for key, value in config.items() if key not in _PATHS and key not in _LAUNCH_ONLY}
        if name == "policy":
            content["train"] = _computing(config["train"])
        if name == "pretrain":
            # The identity among the inputs says it all, and knows the content behind a path.
            content = {}
        template = Path(str(config.get("chat_template_path")))
        if template.is_file():
            content["chat_template_path"] = hashlib.sha256(template.read_bytes()).hexdigest()
        if name in ("weak", "student", "ceiling"):
            content["global_batch_size"] = global_batch_size(config, launch)
        stage_hash = content_hash(name, ALGORITHM_VERSIONS[name], content, hashes, length=12)
        root = cache_folder() if name == "pretrain" else self.runs_folder
        folder = root / "stages" / f"{name}-{stage_hash}"
        # The first role under which a shared stage was met keeps it; every later one refers to the same folder.
        full = {**config, "inputs": hashes, "stage_hash": stage_hash}
        stage = Stage(name, full, folder, accelerate_config=launch, gpus=spec.gpus if spec else None, **roles)
        has_role = name in ("evaluate", "policy")
        key = folder / f"{stage.of}-{stage.method}-{stage.seed}" if has_role else folder
        return self.stages.setdefault(key, stage)

    def accelerate_config(self, spec: ModelSpec | None) -> Path | None:
        name = (spec.accelerate_config if spec else None) or self.recipe.accelerate_config
        return find_accelerate_config(name) if name and spec else None

    def prepare(self, task: Any) -> None:
        options = {"name": self.recipe.task_name, **self.recipe.task_options}
        local = Path(resolve_path(str(options.get("path", ""))))
        if "path" in options and local.exists():
            options["path"] = str(local.resolve())
        config = {"task": options, "sizes": dict(self.recipe.sizes)}
        # The content version stands in for the path, so that a moved file is the same task.
        self.prepared = self.add_prepare(config, task.content_version())

    def add_prepare(self, config: dict[str, Any], version: str) -> Stage:
        options = {key: value for key, value in config["task"].items() if key != "path"}
        algorithm = ALGORITHM_VERSIONS["prepare"]
        stage_hash = content_hash("prepare", algorithm, options, config["sizes"], version, length=12)
        folder = self.runs_folder / "stages" / f"prepare-{stage_hash}"
        stage = Stage("prepare", {**config, "inputs": {"content": version}, "stage_hash": stage_hash}, folder)
        return self.stages.setdefault(folder, stage)

    def examples(self, split: str) -> str:
        return str(self.prepared.folder / "examples" / f"{split}.parquet")

    def base(self, spec: ModelSpec) -> tuple[str, Stage | str, ModelSpec] | None:
        """Return a model's path and what identifies its weights."""
        if spec.labels is not None:
            return None
        if spec.pretrain is None:
            path = resolve_model(str(spec.model_name_or_path))
            revision = str(spec.options.get("model_revision", "main"))
            return path, model_version(path, revision), spec
        from w2s_rm.pretraining import ALGORITHM_VERSION, Pretraining

        pretraining = Pretraining(**spec.pretrain)
        options = pretraining.resolved()
        if "path" in options["corpus"]:
            options["corpus"]["path"] = str(Path(resolve_path(options["corpus"]["path"])).resolve())
        identity = content_hash(ALGORITHM_VERSION, pretraining.identity())
        stage = self.add("pretrain", {"pretrain": options}, {"identity": identity}, spec=spec)
        return str(stage.folder / "model"), stage, spec

    def supervise(self, seed: int, base: tuple[str, Stage | str, ModelSpec] | None) -> Stage:
        recipe = self.recipe
        if base is None:
            return self.judge_by_labels(find_labels(str(recipe.weak.labels)))
        weak: Stage | str = base[1]
        path_text = base[0]
        if not recipe.weak.trained:
            weak = self.train("weak", seed, base)
            path_text = str(weak.folder / "model")
        scoring = self.scoring("relabel", path_text, recipe.weak, "relabel", recipe.weak.trained)
        labels = self.add("relabel", scoring, {"model": weak, "prepare": self.prepared}, seed=seed, spec=recipe.weak)
        if recipe.task().has_ground_truth:
            self.evaluate("weak", seed, weak, recipe.weak, path=path_text)
        self.policies("weak", seed, weak, path=path_text)
        return labels

    def judge_by_labels(self, path: Path) -> Stage:
        """Take the labels of a file: those of the examples to relabel, and of the test examples what there are."""
        splits = ("weak", "relabel", "validation", "test", "unused")
        inputs: dict[str, Stage | str] = {"prepare": self.prepared, "labels": content_version(str(path))}

        def config(stage: str, own: str) -> dict[str, Any]:
            others = [self.examples(split) for split in splits if split != own]
            labels = str(path.resolve())
            return {"stage": stage, "examples": self.examples(own), "labels": labels, "other_examples": others}

        labels = self.add("relabel", config("relabel", "relabel"), inputs)
        if self.recipe.task().has_ground_truth:
            self.add("evaluate", config("evaluate", "test"), inputs, of="weak")
        return labels

    def ceiling(self, seed: int, strong: tuple[str, Stage | str, ModelSpec] | None) -> Stage:
        if self.recipe.ceiling_split == "weak":
            # The very stage that this model has as a supervisor: a grid trains each size on the truth once.
            return self.train("weak", seed, strong, of="ceiling")
        return self.train("ceiling", seed, strong)

    def train(
        self,
        name: str,
        seed: int,
        base: tuple[str, Stage | str, ModelSpec] | None,
        *,
        method: str | None = None,
        labels: Stage | None = None,
        of: str | None = None,
    ) -> Stage:
        assert base is not None
        path, source, spec = base
        chosen = self.recipe.methods[method] if method is not None else None
        config: dict[str, Any] = {
            "stage": name,
            **self.encoding,
            "examples": self.examples("weak" if name == "weak" else "relabel"),
            "model_name_or_path": path,
            "seed": seed,
            "loss": dict(chosen.loss) if chosen else {"name": "cross_entropy"},
            "run_name": "-".join(filter(None, [self.recipe.name, name, method, f"seed{seed}"])),
            **self.training(spec, chosen.train if chosen else {}),
            **spec.options,
        }
        inputs: dict[str, Stage | str] = {"prepare": self.prepared, "base": source}
        if labels is not None:
            config["labels"] = str(labels.folder / "weak_labels.parquet")
            inputs["labels"] = labels
        return self.add(name, config, inputs, method=method, seed=seed, spec=spec, of=of)

    def policies(
        self, of: str, seed: int, model: Stage | str, *, method: str | None = None, path: str | None = None
    ) -> None:
        """Optimise the recipe's policy in each way against a reward model."""
        policy = self.recipe.policy
        if policy is None:
            return
        base = self.base(policy.model)
        assert base is not None
        for name, way in policy.methods.items():
            config = {
                "stage": "policy",
                "task": {"name": self.recipe.task_name, **self.recipe.task_options},
                "prompts": self.examples("validation"),
                "examples": self.examples("test"),
                "model_name_or_path": base[0],
                "model": dict(policy.model.options),
                "reward_model": path or str(model.folder / "model" if isinstance(model, Stage) else model),
                "trainer": way.trainer,
                "train": {"report_to": "none", "save_total_limit": 1, **way.train},
                "seed": seed,
                "max_completion_length": policy.max_completion_length,
                "samples": policy.samples,
                "evaluations": policy.evaluations,
            }
            inputs: dict[str, Stage | str] = {"prepare": self.prepared, "policy": base[1], "reward_model": model}
            self.add("policy", config, inputs, of=of, method=method, seed=seed, policy=name, spec=policy.model)

    def training(self, spec: ModelSpec, own: Mapping[str, Any]) -> dict[str, Any]:
        return {"report_to": "none", "save_total_limit": 1, **self.recipe.train, **spec.train, **own}

    def scoring(self, stage: str, path: str, spec: ModelSpec, split: str, as_given: bool) -> dict[str, Any]:
        given = self.training(spec, {})
        # A model that was trained here carries its own number of layers in its config.
        names = [name for name in _SCORING if name in given and (as_given or name != "model_init_kwargs")]
        names_kept = spec.options if as_given else ("dtype", "attn_implementation")
        options = {name: spec.options[name] for name in names_kept if name in spec.options}
        config = {
            "stage": stage,
            **self.encoding,
            "examples": self.examples(split),
            "model_name_or_path": path,
            "report_to": "none",
        }
        return {**config, **{name: given[name] for name in names}, **options}

    def evaluate(
        self,
        of: str,
        seed: int | None,
        model: Stage | str,
        spec: ModelSpec,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        if path is None:
            assert isinstance(model, Stage)
            path = str(model.folder / "model")
        as_given = of == "zero_shot" or (of == "weak" and spec.trained)
        config = self.scoring("evaluate", path, spec, "test", as_given)
        inputs: dict[str, Stage | str] = {"model": model, "prepare": self.prepared}
        self.add("evaluate", config, inputs, of=of, method=method, seed=seed, spec=spec)


def _computing(train: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a policy trainer that its result depends on: what it samples depends on the batches, too."""
    batches = ("per_device_train_batch_size", "gradient_accumulation_steps")
    return {name: value for name, value in train.items() if name not in _LAUNCH_ONLY or name in batches}


def global_batch_size(config: Mapping[str, Any], accelerate_config: Path | None) -> int:
    """Examples in an optimizer step: per device x accumulation x processes.

    Args:
        config (`Mapping`): A training stage's config.
        accelerate_config (`Path`, *optional*): Where the number of processes stands.
    """
    processes = 1
    if accelerate_config is not None:
        processes = int(read_accelerate_config(accelerate_config).get("num_processes") or 1)
    per_device = int(config.get("per_device_train_batch_size", 8))
    return per_device * int(config.get("gradient_accumulation_steps", 1)) * processes
