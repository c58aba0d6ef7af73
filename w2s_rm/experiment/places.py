"""Where the things are that a recipe names, and what identifies their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.data.reading import is_hub_id, resolve_path
from w2s_rm.errors import ConfigError
from w2s_rm.types import content_hash


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


def find_labels(name: str) -> Path:
    """Find the file or folder of labels that stands in for a weak model.

    Args:
        name (`str`): A path, or a `package:` path.

    Raises:
        ConfigError: It does not exist.
    """
    path = Path(resolve_path(name))
    if not path.exists():
        raise ConfigError(f"weak.labels: {name}: no such file or folder")
    return path


def resolve_model(name: str) -> str:
    """Find a local model folder, also inside a package (`package:<module>/<folder>`); leave a hub id alone.

    Args:
        name (`str`): Folder, `package:` path or hub id.

    Raises:
        ConfigError: There is no such folder, and it is no hub id; or the folder holds no model in safetensors.
    """
    path = Path(resolve_path(name))
    if path.is_dir():
        if not (path / "config.json").is_file():
            within = ", ".join(sorted(file.name for file in path.iterdir())[:10]) or "nothing"
            raise ConfigError(
                f"model_name_or_path {name!r}: no saved model (no config.json); the folder holds {within}"
            )
        if not any(path.glob("*.safetensors")):
            raise ConfigError(
                f"model_name_or_path {name!r}: no *.safetensors weights in this folder, other formats are not read; "
                "load the model once and save it with save_pretrained"
            )
        return str(path.resolve())
    if path.exists() or not is_hub_id(name):
        raise ConfigError(f"model_name_or_path {name!r}: no such folder, and no hub id either; give one of the two")
    return name


def model_version(path: str, revision: str) -> str:
    """Identify a model's weights: the content of a local folder but for its card, or hub id and revision.

    Args:
        path (`str`): Folder or hub id.
        revision (`str`): Hub revision.
    """
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}@{revision}"
    parts = []
    for file in sorted(folder.iterdir()):
        # A card is written again whenever a run's report is, and says nothing to the model.
        if file.is_file() and not file.name.startswith(".") and file.name != "README.md":
            parts.append([file.name, file.stat().st_size, _fingerprint(file)])
    return content_hash(parts)


def _fingerprint(file: Path, block: int = 1 << 16, blocks: int = 128) -> str:
    """Hash a small file whole, a large one by evenly spaced blocks: a checkpoint of 15 GB must not hold up a plan.

    With 128 blocks over a file, one lies in every layer of a large model: weights that were trained differ there.
    """
    size = file.stat().st_size
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if size <= block * blocks:
            digest.update(stream.read())
        else:
            for number in range(blocks):
                stream.seek(number * (size - block) // (blocks - 1))
                digest.update(stream.read(block))
    return digest.hexdigest()
