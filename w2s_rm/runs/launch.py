"""How a stage is launched: alone, or on the processes that an accelerate config names."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from w2s_rm import bundled
from w2s_rm.errors import ConfigError
from w2s_rm.files import parse_yaml

ON_CPUS_VARIABLE = "W2S_RM_ON_CPUS"
"""Set in the environment of a launch that is for CPUs."""


@dataclass(frozen=True)
class Launch:
    """How a stage is launched. It changes no result but through the number of examples in an optimizer step.

    Args:
        accelerate_config (`Path`, *optional*): For `accelerate launch --config_file`; without it, one process.
        gpus (`float`, *optional*): GPUs on Ray, where the recipe says so; below 1 a share.
    """

    accelerate_config: Path | None = None
    gpus: float | None = None

    # The hash of every training of a plan asks for it: the file is read once.
    @functools.cached_property
    def processes(self) -> int:
        """The number of processes that work on one batch."""
        if self.accelerate_config is None:
            return 1
        return int(read_accelerate_config(self.accelerate_config).get("num_processes") or 1)

    def command(self) -> list[str]:
        """Return what starts the processes: Python, alone or through `accelerate launch`."""
        if self.accelerate_config is None:
            return [sys.executable]
        # As a module and not as the script `accelerate`, which on the user's path may belong to another Python.
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(self.accelerate_config)]
        # It tells several processes nothing of `use_cpu`: on a machine with GPUs they would take these. Not by
        # `ACCELERATE_USE_CPU`, with which `AcceleratorState` leaves DeepSpeed aside.
        on_cpus = uses_cpus(read_accelerate_config(self.accelerate_config))
        return [*(("env", f"{ON_CPUS_VARIABLE}=true") if on_cpus else ()), *launch]


def uses_cpus(config: Mapping[str, Any]) -> bool:
    """Whether an accelerate config is for CPUs, on a machine with GPUs, too.

    Args:
        config (`Mapping[str, Any]`): Its content.
    """
    return bool(config.get("use_cpu")) or config.get("distributed_type") == "MULTI_CPU"


def read_accelerate_config(path: Path) -> dict[str, Any]:
    """Read an accelerate config.

    Args:
        path (`Path`): YAML or JSON.

    Raises:
        ConfigError: It is no mapping.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"accelerate_config: {path}: does not parse: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"accelerate_config: {path}: is no accelerate config; write one with `accelerate config`")
    return content


def find_accelerate_config(name: str) -> Path:
    """Find an accelerate config by name (in `deepspeed_configs/`) or by path.

    Args:
        name (`str`): A name, or a path that ends in `.yaml`, `.yml` or `.json`.

    Raises:
        ConfigError: There is none; the message lists the names.
    """
    by_name = Path(name).suffix not in (".yaml", ".yml", ".json")
    path = bundled.find(f"deepspeed_configs/{name}.yaml" if by_name else name)
    if path.is_file():
        # Absolute, for it stands in commands that may be run from another folder.
        return path.resolve()
    if not by_name:
        raise ConfigError(f"accelerate_config: {name}: no such file")
    folders = (Path("deepspeed_configs"), bundled.folder("deepspeed_configs"))
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(f"accelerate_config: no config {name!r} in deepspeed_configs; known: {', '.join(known)}")
