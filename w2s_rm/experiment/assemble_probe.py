"""Make a model of what a stage `probe` left: by the stage that does it for the policies of a recipe."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.executors import run_inline
from w2s_rm.experiment.feature_route import assembled
from w2s_rm.files import parse_yaml
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.places import LINEAR_MODEL, beside
from w2s_rm.stages import Model, Reference, enters_config
from w2s_rm.stages.assemble import Assemble
from w2s_rm.stages.features import Features as Reading
from w2s_rm.stages.probe import Probe


def assemble_probe(folder: Path) -> Path:
    """Make a model folder of a linear model that was trained on features, beside the folder of its stage.

    Args:
        folder (`Path`): The stage's folder, `runs/stages/probe-<hash>`.

    Returns:
        `Path`: The model's folder; what is there already is left as it is.

    Raises:
        ConfigError: The folder is none of a finished stage `probe`, or its features are not those of a row of tokens.
        ArtifactError: The linear model is not what was trained, or what was made gives other scores.
    """
    folder = folder.resolve()
    if not (StageFolder(folder).was_finished and (folder / LINEAR_MODEL).is_file()):
        raise ConfigError(f"{folder}: no finished stage probe; give the folder of one: runs/stages/probe-<hash>")
    # All is read, weights too: a model that is made of them is handed on.
    StageFolder(folder).verify(lambda name: True)
    config = _read(folder)
    reading_folder = Path(_found(folder, config["features"])).parent
    reading = _planned(Reading, reading_folder, _read(reading_folder))
    probe = _planned(Probe, folder, config)
    # The identity is that under which it was trained, whatever the version of this code is.
    trained = Model(str(folder / LINEAR_MODEL), f"{config['stage_hash']}/{LINEAR_MODEL}")
    # A reference from a config knows no maker; the plan of a recipe would have had it.
    read = dataclasses.replace(probe, features=dataclasses.replace(probe.features, maker=reading))
    stage = assembled(trained, read).maker
    assert isinstance(stage, Assemble)
    if not stage.cached:
        stage.write_config()
        run_inline(stage)
    return Path(stage.model.path)


def _read(folder: Path) -> dict[str, Any]:
    return dict(parse_yaml((folder / "config.yaml").read_text(encoding="utf-8")))


def _planned(kind: type[Any], folder: Path, config: dict[str, Any]) -> Any:
    """The stage that a config describes, with what it reads where that is now."""
    hints = typing.get_type_hints(kind)
    names = [option.name for option in dataclasses.fields(kind) if enters_config(option) and option.name in config]
    values = {name: config[name] for name in names}
    for name, identity in config["inputs"].items():
        field_name, _, number = name.partition(".")
        parts = typing.get_args(hints[field_name]) or (hints[field_name],)
        reference = next(part for part in parts if isinstance(part, type) and issubclass(part, Reference))
        if number:
            # Of several, in the order of their numbers.
            path = config[field_name][int(number)]
            values[field_name] = (*values[field_name][: int(number)], reference(_found(folder, path), identity))
        else:
            values[field_name] = reference(_found(folder, config[name]), identity)
    if "options" in hints:
        known = (*names, *config["inputs"], "stage", "inputs", "stage_hash")
        # In a config options stand beside the fields, and have to be told from these by name.
        values["options"] = {name: value for name, value in config.items() if name not in known}
    return kind(runs=folder.parent.parent, **values)


def _found(folder: Path, path: str) -> str:
    """What a stage read, also where `runs/` was moved."""
    return str(beside(folder, Path(path)))
