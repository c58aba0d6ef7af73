"""The option names of trainers and models, read from their source without importing it.

Importing transformers or torch takes seconds; a recipe is checked in a fraction of one.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path

from w2s_rm import catalog
from w2s_rm.errors import ConfigError

_TRAINING = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
)
WHICH_MODEL = ("model_name_or_path", "model_revision")
"""What of `ModelConfig` says which model it is: that a stage trains another one than it reads, no option may say."""
# The loss is the method's, and the stages have labels of their own.
_NO_TRAINING_OPTION = ("loss", "label_column", "_VALID_DICT_FIELDS")


def class_fields(path: Path, name: str) -> dict[str, str]:
    """Return the annotated fields of a class with their annotations as text.

    Args:
        path (`Path`): A Python file.
        name (`str`): A class in it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        # A dataclass does not take these for fields either.
        and "ClassVar" not in ast.unparse(node.annotation)
    }


@functools.cache
def training_fields() -> dict[str, str]:
    """Names and annotations of `TrainingArguments` and TRL's `RewardConfig`, in the installed versions, and our own."""
    # Ours is read from its source, too: to import it brings torch along.
    ours = class_fields(Path(catalog.__file__).parent / "training" / "config.py", "W2SRewardConfig")
    own = {name: annotation for name, annotation in ours.items() if name not in _NO_TRAINING_OPTION}
    return {**own, **_trainer_fields("trainer/reward_config.py", "RewardConfig")}


@functools.cache
def model_fields() -> dict[str, str]:
    """Names and annotations of TRL's `ModelConfig`."""
    return class_fields(package_folder("trl") / "trainer/model_config.py", "ModelConfig")


@functools.cache
def language_model_fields() -> dict[str, str]:
    """Names and annotations of TRL's `SFTConfig`, and of `ModelConfig` but for which model it is."""
    model = {name: annotation for name, annotation in model_fields().items() if name not in WHICH_MODEL}
    return {**_trainer_fields("trainer/sft_config.py", "SFTConfig"), **model}


@functools.cache
def policy_fields(name: str) -> dict[str, str]:
    """Names and annotations of the configuration with which TRL optimises a policy.

    Args:
        name (`str`): A registered policy trainer.

    Raises:
        ConfigError: The installed trl has no such trainer.
    """
    file, config_class = catalog.lookup("policies", name).config_source
    if not (package_folder("trl") / file).is_file():
        pin = "pip install 'trl==1.12.0'"
        raise ConfigError(f"trainer {name}: the installed trl has none; {pin} brings it, or take rloo or grpo")
    return _trainer_fields(file, config_class)


def _trainer_fields(file: str, config_class: str) -> dict[str, str]:
    """Those of one of TRL's configurations, and of all that it builds on."""
    fields: dict[str, str] = {}
    # Base classes first, so that what a class declares anew has its own annotation.
    for package, source, name in (*_TRAINING, ("trl", file, config_class)):
        fields |= class_fields(package_folder(package) / source, name)
    return {option: annotation for option, annotation in fields.items() if not option.startswith("_")}


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        ConfigError: It is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the package {name} is not installed; install it with pip install {name}")
    return Path(spec.origin).parent
