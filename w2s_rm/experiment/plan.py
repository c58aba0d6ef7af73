"""From a recipe to its stages: what each reads, what its folder is called, how it is launched."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.data.reading import content_version, is_hub_id, resolve_path
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.artifacts import StageFolder, cache_folder, lock, write_yaml
from w2s_rm.experiment.recipe import ModelSpec, Recipe
from w2s_rm.types import content_hash

# Raise a stage's version when the same config gives another result.
ALGORITHM_VERSIONS = {"prepare": 1, "pretrain": 1, "weak": 1, "relabel": 1, "student": 1, "ceiling": 1, "evaluate": 1}
MODULES = {"weak": "train", "student": "train", "ceiling": "train"}
_DISTRIBUTED = ("weak", "student", "ceiling", "relabel", "evaluate")
_PATHS = ("examples", "labels", "model_name_or_path", "other_examples")
# Fields that say how a stage is run, watched or stored, and not what it computes.
_LAUNCH_WORDS = """
run_name report_to logging_strategy logging_steps logging_first_step log_level log_level_replica log_on_each_node
disable_tqdm save_strategy save_steps save_total_limit save_on_each_node eval_strategy
dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataset_num_proc
per_device_train_batch_size gradient_accumulation_steps per_device_eval_batch_size eval_accumulation_steps
ddp_timeout push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push hub_revision
project trackio_space_id trackio_bucket_id trackio_static_space_id
include_num_input_tokens_seen torch_empty_cache_steps
"""
_LAUNCH_ONLY = frozenset(_LAUNCH_WORDS.split())
_SCORING_WORDS = """
max_length per_device_eval_batch_size dataloader_num_workers bf16 fp16 bf16_full_eval fp16_full_eval tf32
use_cpu trust_remote_code pad_to_multiple_of chat_template_path eos_token model_init_kwargs disable_tqdm
use_liger_kernel
"""
_SCORING = _SCORING_WORDS.split()


@dataclass(frozen=True)
class Stage:
    """One unit of work.

    Args:
        stage (`str`): Name: `prepare`, `pretrain`, `weak`, `relabel`, `student`, `ceiling` or `evaluate`.
        of (`str`, *optional*): For `evaluate`: `weak`, `student` or `ceiling`.
        method (`str`, *optional*): For a student and its evaluation.
        seed (`int`, *optional*): For all but `prepare` and `pretrain`.
        config (`Mapping`): The stage config, complete.
        folder (`Path`): Where it writes.
        accelerate_config (`Path`, *optional*): For `accelerate launch --config_file`.
    """

    stage: str
    config: Mapping[str, Any]
    folder: Path
    of: str | None = None
    method: str | None = None
    seed: int | None = None
    accelerate_config: Path | None = None

    @property
    def hash(self) -> str:
        """The hash in the folder's name."""
        return self.folder.name.rsplit("-", 1)[1]

    @property
    def cached(self) -> bool:
        """Whether the stage is finished."""
        return StageFolder(self.folder).finished

    @property
    def title(self) -> str:
        """A short description for a progress line."""
        words = [self.stage, self.of if self.stage == "evaluate" else None, self.method]
        return " ".join(word for word in words if word) + (f" seed {self.seed}" if self.seed is not None else "")

    @property
    def loads_model(self) -> bool:
        """Whether the stage needs a model, and so torch; those that need none run first."""
        return self.stage != "prepare" and "other_examples" not in self.config

    @property
    def distributed(self) -> bool:
        """Whether the stage runs on all processes of a launch."""
        return self.stage in _DISTRIBUTED and self.loads_model

    def write_config(self) -> Path:
        """Write `config.yaml` into the stage's folder, from which [`command`] runs it.

        Raises:
            InUseError: A live process holds the folder.
        """
        path = self.folder / "config.yaml"
        with lock(self.folder):
            write_yaml(path, dict(self.config))
        return path

    def module(self) -> str:
        """Return the module that runs the stage."""
        return f"w2s_rm.stages.{MODULES.get(self.stage, self.stage)}"

    def arguments(self) -> list[str]:
        """Return the stage's command-line arguments."""
        return ["--config", str(self.folder / "config.yaml"), "--output_dir", str(self.folder)]

    def command(self) -> list[str]:
        """Return the command that runs the stage alone."""
        if self.accelerate_config is None or not self.distributed:
            return [sys.executable, "-m", self.module(), *self.arguments()]
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(self.accelerate_config)]
        return [*launch, "-m", self.module(), *self.arguments()]


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
            "weak_model": model_label(recipe.weak),
            "strong_model": model_label(recipe.strong),
            "supervisor": "labels" if recipe.weak.labels else "model",
            "seeds": list(recipe.seeds),
            "methods": list(recipe.methods),
            "stages": [
                {
                    "stage": stage.stage,
                    "of": stage.of,
                    "method": stage.method,
                    "seed": stage.seed,
                    "folder": str(stage.folder),
                }
                for stage in self.stages
            ],
        }


def model_label(spec: ModelSpec) -> str:
    """Return a short name of a model for tables: the last parts of its path, or the shape of an embedded one."""
    if spec.labels:
        return Path(spec.labels).name
    if spec.pretrain is not None:
        from w2s_rm.testbed.pretraining import Pretraining

        options = Pretraining(**spec.pretrain)
        return f"embedded {options.num_hidden_layers}x{options.hidden_size}"
    name = str(spec.model_name_or_path)
    in_package = name.startswith("package:")
    short = name.removeprefix("package:").split("/")[0] if in_package else "/".join(name.split("/")[-2:])
    layers = dict(spec.train.get("model_init_kwargs") or {}).get("num_hidden_layers")
    return f"{short} ({layers} layer{'s' if layers != 1 else ''})" if layers else short


def make_plan(recipe: Recipe, runs_folder: Path) -> Plan:
    """Plan a recipe.

    Args:
        recipe ([`Recipe`]): The checked recipe.
        runs_folder (`Path`): Where runs are kept, usually `runs`.

    Raises:
        ConfigError: A path of the recipe does not exist, or the recipe needs ground truth that its task lacks.
    """
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

    def run(self) -> None:
        recipe, task = self.recipe, self.recipe.task()
        truth = task.has_ground_truth
        if not truth and not (recipe.weak.labels or recipe.weak.trained):
            raise ConfigError(
                f"task {recipe.task_name} has no ground truth to train a weak model on; "
                "set weak.labels to a file of labels, or weak.trained: true for a model that is a reward model already"
            )
        self.prepared = self.prepare(task)
        bases = {role: self.base(spec) for role, spec in (("weak", recipe.weak), ("strong", recipe.strong))}
        for seed in recipe.seeds:
            labels = self.supervise(seed, bases["weak"])
            for method in recipe.methods:
                student = self.train("student", seed, bases["strong"], method=method, labels=labels)
                self.evaluate("student", seed, student, recipe.strong, method)
            if truth:
                self.evaluate("ceiling", seed, self.train("ceiling", seed, bases["strong"]), recipe.strong)

    def add(self, name: str, config: dict[str, Any], inputs: dict[str, Stage | str], **roles: Any) -> Stage:
        hashes = {key: value if isinstance(value, str) else value.hash for key, value in inputs.items()}
        spec: ModelSpec | None = roles.pop("spec", None)
        launch = self.accelerate_config(spec)
        content = {key: value for key, value in config.items() if key not in _PATHS and key not in _LAUNCH_ONLY}
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
        stage = Stage(name, full, folder, accelerate_config=launch, **roles)
        key = folder if name != "evaluate" else folder / f"{stage.of}-{stage.method}-{stage.seed}"
        return self.stages.setdefault(key, stage)

    def accelerate_config(self, spec: ModelSpec | None) -> Path | None:
        name = (spec.accelerate_config if spec else None) or self.recipe.accelerate_config
        return find_accelerate_config(name) if name and spec else None

    def prepare(self, task: Any) -> Stage:
        options = {"name": self.recipe.task_name, **self.recipe.task_options}
        local = Path(resolve_path(str(options.get("path", ""))))
        if "path" in options and local.exists():
            options["path"] = str(local.resolve())
        config = {"task": options, "sizes": dict(self.recipe.sizes)}
        # The content version stands in for the path, so that a moved file is the same task.
        return self.add_prepare(config, task.content_version())

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
        from w2s_rm.testbed.pretraining import ALGORITHM_VERSION, Pretraining

        options = dataclasses.asdict(Pretraining(**spec.pretrain))
        stage = self.add("pretrain", {"pretrain": options, "algorithm": ALGORITHM_VERSION}, {})
        return str(stage.folder / "model"), stage, spec

    def supervise(self, seed: int, base: tuple[str, Stage | str, ModelSpec] | None) -> Stage:
        recipe, examples = self.recipe, self.examples("relabel")
        if base is None:
            path = Path(resolve_path(str(recipe.weak.labels)))
            if not path.exists():
                raise ConfigError(f"weak.labels: {path}: no such file or folder")
            version = content_version(str(path))
            others = [self.examples(split) for split in ("weak", "validation", "test", "unused")]
            config = {"stage": "relabel", "examples": examples, "labels": str(path.resolve()), "other_examples": others}
            return self.add("relabel", config, {"prepare": self.prepared, "labels": version})
        weak: Stage | str = base[1]
        path_text = base[0]
        if not recipe.weak.trained:
            weak = self.train("weak", seed, base)
            path_text = str(weak.folder / "model")
        scoring = self.scoring("relabel", path_text, recipe.weak, "relabel")
        labels = self.add("relabel", scoring, {"model": weak, "prepare": self.prepared}, seed=seed, spec=recipe.weak)
        if recipe.task().has_ground_truth:
            self.evaluate("weak", seed, weak, recipe.weak, path=path_text)
        return labels

    def train(
        self,
        name: str,
        seed: int,
        base: tuple[str, Stage | str, ModelSpec] | None,
        *,
        method: str | None = None,
        labels: Stage | None = None,
    ) -> Stage:
        assert base is not None
        path, source, spec = base
        chosen = self.recipe.methods[method] if method is not None else None
        config: dict[str, Any] = {
            "stage": name,
            "setting": self.recipe.task().setting,
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
        return self.add(name, config, inputs, method=method, seed=seed, spec=spec)

    def training(self, spec: ModelSpec, own: Mapping[str, Any]) -> dict[str, Any]:
        return {"report_to": "none", "save_total_limit": 1, **self.recipe.train, **spec.train, **own}

    def scoring(self, stage: str, path: str, spec: ModelSpec, split: str) -> dict[str, Any]:
        given = self.training(spec, {})
        # A model that was trained here carries its own number of layers in its config.
        names = [name for name in _SCORING if name in given and (spec.trained or name != "model_init_kwargs")]
        names_kept = spec.options if spec.trained else ("dtype", "attn_implementation")
        options = {name: spec.options[name] for name in names_kept if name in spec.options}
        config = {
            "stage": stage,
            "setting": self.recipe.task().setting,
            "examples": self.examples(split),
            "model_name_or_path": path,
            "report_to": "none",
        }
        return {**config, **{name: given[name] for name in names}, **options}

    def evaluate(
        self,
        of: str,
        seed: int,
        model: Stage | str,
        spec: ModelSpec,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        if path is None:
            assert isinstance(model, Stage)
            path = str(model.folder / "model")
        config = self.scoring("evaluate", path, spec, "test")
        inputs: dict[str, Stage | str] = {"model": model, "prepare": self.prepared}
        self.add("evaluate", config, inputs, of=of, method=method, seed=seed, spec=spec)


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


def read_accelerate_config(path: Path) -> dict[str, Any]:
    """Read an accelerate config.

    Args:
        path (`Path`): YAML or JSON.

    Raises:
        ConfigError: It is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"accelerate_config: {path}: does not parse: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"accelerate_config: {path}: is no accelerate config; write one with `accelerate config`")
    return content


def find_accelerate_config(name: str) -> Path:
    """Find an accelerate config by name (in `deepspeed_configs/`) or by path.

    Raises:
        ConfigError: There is none; the message lists the names.
    """
    given = Path(name)
    if given.suffix in (".yaml", ".yml", ".json"):
        if given.is_file():
            return given.resolve()
        raise ConfigError(f"accelerate_config: {name}: no such file")
    package = Path(__file__).resolve().parents[1]
    folders = [Path("deepspeed_configs"), package.parent / "deepspeed_configs", package / "deepspeed_configs"]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return (folder / f"{name}.yaml").resolve()
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(f"accelerate_config: no config {name!r} in deepspeed_configs; known: {', '.join(known)}")


def resolve_model(name: str) -> str:
    """Find a local model folder, also inside a package (`package:<module>/<folder>`); leave a hub id alone.

    Args:
        name (`str`): Folder, `package:` path or hub id.

    Raises:
        ConfigError: There is no such folder, and it is no hub id; or the folder holds no model.
    """
    path = Path(resolve_path(name))
    if path.is_dir():
        if not (path / "config.json").is_file():
            within = ", ".join(sorted(file.name for file in path.iterdir())[:10]) or "nothing"
            raise ConfigError(
                f"model_name_or_path {name!r}: no saved model (no config.json); the folder holds {within}"
            )
        return str(path.resolve())
    if path.exists() or not is_hub_id(name):
        raise ConfigError(f"model_name_or_path {name!r}: no such folder, and no hub id either; give one of the two")
    return name


def model_version(path: str, revision: str) -> str:
    """Identify a model's weights: the content of a local folder, or hub id and revision.

    Args:
        path (`str`): Folder or hub id.
        revision (`str`): Hub revision.
    """
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}@{revision}"
    parts = []
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            parts.append([file.name, file.stat().st_size, _fingerprint(file)])
    return content_hash(parts)


def _fingerprint(file: Path, whole_below: int = 1 << 22) -> str:
    """Hash a small file, or a large one's size, head and tail: weights that differ differ there too."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        digest.update(stream.read(whole_below))
        if file.stat().st_size > 2 * whole_below:
            stream.seek(-whole_below, 2)
            digest.update(stream.read())
        else:
            digest.update(stream.read())
    return digest.hexdigest()
