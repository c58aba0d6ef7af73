"""What the value of an option needs: a known word, an installed package, a file. Asked when a recipe is read.

The libraries themselves would say so too, but each only when its stage begins, hours after the weak model was trained.
Nothing heavy is imported: names come from the libraries' source, packages are looked for and not loaded.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from w2s_rm import bundled
from w2s_rm.errors import nearest
from w2s_rm.experiment.fields import package_folder
from w2s_rm.types import LAYOUTS

_DTYPES = ("auto", "bfloat16", "float16", "float32")
# With the package that each needs.
_ATTENTION = {
    "eager": "",
    "sdpa": "",
    "flex_attention": "",
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
}
# By the beginning of the name: what transformers 5 imports for an optimizer.
_OPTIMIZER_PACKAGES = {
    "adamw_anyprecision": "torchdistx",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "adamw_torch_npu": "torch_npu",
    "adamw_torch_xla": "torch_xla",
    "adamw_bnb": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "ademamix": "bitsandbytes",
    "lion": "bitsandbytes",
    "paged_": "bitsandbytes",
    "rmsprop_bnb": "bitsandbytes",
    "galore": "galore_torch",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "grokadamw": "grokadamw",
    "schedule_free": "schedulefree",
    "apollo": "apollo_torch",
    "stable_adamw": "optimi",
}
# Any of the packages of a tracker will do.
_TRACKERS = {
    "azure_ml": ("azureml",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "comet_ml": ("comet_ml",),
    "dagshub": ("dagshub",),
    "dvclive": ("dvclive",),
    "flyte": ("flytekit",),
    "kubeflow": ("kubeflow",),
    "mlflow": ("mlflow",),
    "neptune": ("neptune",),
    "swanlab": ("swanlab",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
_TEMPLATE_SUFFIXES = (".jinja", ".jinja2", ".j2", ".json", ".txt")
_WITHOUT_DATA = "recipes evaluate in stages of their own, after training; remove it"


def value_problems(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say which options of a model or of training have values that no run could use here, and what to do.

    Args:
        options (`Mapping[str, Any]`): Names and values, already of the right types.

    Yields:
        `tuple[str, str]`: An option's name and what is wrong with its value.
    """
    for name, value in options.items():
        check = _CHECKS.get(name)
        # An infinite norm is how one logs it without clipping.
        if isinstance(value, float) and not (math.isfinite(value) or (name, value) == ("max_grad_norm", math.inf)):
            problem: str | None = f"is {value}; use a finite number"
        else:
            problem = check(value) if check is not None and value is not None else None
        if problem:
            yield name, problem


def _one_of(known: Mapping[str, Any] | tuple[str, ...], value: Any) -> str | None:
    return None if value in known else f"{value!r} is unknown; {nearest(str(value), known)}"


def _missing(package: str) -> bool:
    return importlib.util.find_spec(package) is None


def _attention(value: Any) -> str | None:
    # `owner/name` is a kernel from the hub.
    if isinstance(value, str) and "/" in value:
        return f"{value!r} needs the package kernels; pip install kernels" if _missing("kernels") else None
    unknown = _one_of(_ATTENTION, value)
    if unknown or not _ATTENTION[value] or not _missing(_ATTENTION[value]):
        return unknown
    return f"{value!r} needs the package {_ATTENTION[value]}, which is not installed; install it, or write sdpa"


def _optimizer(value: Any) -> str | None:
    unknown = _one_of(_enumeration("transformers", "training_args.py", "OptimizerNames"), value)
    if unknown:
        return unknown
    package = next((package for start, package in _OPTIMIZER_PACKAGES.items() if value.startswith(start)), None)
    if package is None or not _missing(package):
        return None
    return f"{value!r} needs the package {package}, which is not installed; install it, or write adamw_torch"


def _trackers(value: Any) -> str | None:
    problems = []
    for name in [value] if isinstance(value, str) else value:
        packages = _TRACKERS.get(name)
        if name in ("none", "all"):
            continue
        if packages is None:
            problems.append(f"{name!r} is unknown; {nearest(str(name), (*_TRACKERS, 'none', 'all'))}")
        elif all(map(_missing, packages)):
            problems.append(f"{name!r} needs the package {' or '.join(packages)}, which is not installed")
    return "; ".join(problems) or None


def _word_of(enumeration: str, value: Any) -> str | None:
    return _one_of(_enumeration("transformers", "trainer_utils.py", enumeration), value)


def _template(value: Any) -> str | None:
    path = bundled.find(str(value))
    if path.exists() or not (path.suffix in _TEMPLATE_SUFFIXES or path.is_absolute() or len(path.parts) > 2):
        # It may be a tokenizer's hub id.
        return None
    return f"{value!r}: no such file; name a template file, or a tokenizer whose template is taken"


def _not_negative(value: Any) -> str | None:
    # What is no number is refused by its type.
    return None if not isinstance(value, int | float) or value >= 0 else f"is {value}; use 0 or more"


def _positive(value: Any) -> str | None:
    return None if not isinstance(value, int | float) or value > 0 else f"is {value}; use a number above 0"


def _at_least_one(value: Any) -> str | None:
    return None if not isinstance(value, int) or value >= 1 else f"is {value}; use 1 or more"


def _steps(value: Any) -> str | None:
    # To transformers -1 says that epochs count.
    allowed = not isinstance(value, int) or value >= 1 or value == -1
    return None if allowed else f"is {value}; use 1 or more, or leave it out and set num_train_epochs"


def _no_evaluation(value: Any) -> str | None:
    return None if value in ("no", False) else f"{value!r} needs data for evaluation during training; {_WITHOUT_DATA}"


@functools.cache
def _enumeration(package: str, file: str, name: str) -> tuple[str, ...]:
    """The values of an enumeration of words, read from its source."""
    # Not imported: transformers' arguments bring torch along, and a recipe is checked without it.
    tree = ast.parse((package_folder(package) / file).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    values = [
        node.value.value for node in body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    return tuple(str(value) for value in values)


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "anchor_coefficient": _not_negative,
    "anchor_tolerance": _not_negative,
    "attn_implementation": _attention,
    "chat_template_path": _template,
    "dtype": functools.partial(_one_of, _DTYPES),
    "eval_strategy": _no_evaluation,
    "layout": functools.partial(_one_of, LAYOUTS),
    "gradient_accumulation_steps": _at_least_one,
    "learning_rate": _not_negative,
    "load_best_model_at_end": _no_evaluation,
    "max_grad_norm": _not_negative,
    "max_length": _at_least_one,
    "max_steps": _steps,
    "max_tokens_per_batch": _at_least_one,
    "num_train_epochs": _positive,
    "per_device_eval_batch_size": _at_least_one,
    "per_device_train_batch_size": _at_least_one,
    "weight_decay": _not_negative,
    # By the names of enumerations, whose words are read from the source when one is asked for.
    "hub_strategy": functools.partial(_word_of, "HubStrategy"),
    "logging_strategy": functools.partial(_word_of, "IntervalStrategy"),
    "lr_scheduler_type": functools.partial(_word_of, "SchedulerType"),
    "save_strategy": functools.partial(_word_of, "SaveStrategy"),
    "optim": _optimizer,
    "report_to": _trackers,
}
