"""One unit of work: what it reads, where it writes, the command that runs it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.experiment.artifacts import StageFolder, lock, write_yaml

MODULES = {"weak": "train", "student": "train", "ceiling": "train"}
_DISTRIBUTED = ("weak", "student", "ceiling", "relabel", "evaluate", "policy")


@dataclass(frozen=True)
class Stage:
    """One unit of work.

    Args:
        stage (`str`): Name: `prepare`, `pretrain`, `weak`, `relabel`, `student`, `ceiling`, `evaluate` or `policy`.
        of (`str`, *optional*): For `evaluate` and `policy`, whose model: `weak`, `student` or `ceiling`; for `weak`:
            `ceiling` where it is that.
        method (`str`, *optional*): For a student, its evaluation and its policies.
        seed (`int`, *optional*): For all but `prepare` and `pretrain`.
        config (`Mapping`): The stage config, complete.
        folder (`Path`): Where it writes.
        accelerate_config (`Path`, *optional*): For `accelerate launch --config_file`.
        policy (`str`, *optional*): For `policy`: the way to optimise it.
        gpus (`float`, *optional*): GPUs on Ray, where the recipe says so.
    """

    stage: str
    config: Mapping[str, Any]
    folder: Path
    of: str | None = None
    method: str | None = None
    seed: int | None = None
    accelerate_config: Path | None = None
    policy: str | None = None
    gpus: float | None = None

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
        words = [self.stage, "as" if self.stage == "weak" and self.of else None, self.of, self.method, self.policy]
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
