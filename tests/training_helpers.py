"""What tests of the trainers share: words, options that suit tiny models on a CPU, and a record of the steps."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from transformers import TrainerCallback

from w2s_rm.roles import TRAINED
from w2s_rm.runs.folder import StageFolder

WORDS = [f"w{number}" for number in range(60)]
"""The words that the tiny tokenizers know."""

COMMON: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "use_cpu": True,
    "max_length": 64,
}


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a run and return what it printed; a run that a test does not wait for ends with the test."""
    try:
        return process.communicate()[0]
    except BaseException:
        process.kill()
        raise


def questions(count: int, seed: int = 0, more: int = 0) -> list[dict[str, Any]]:
    """Make rows whose last word tells the class: two candidates, and up to `more` others that are never right."""
    generator, rows = random.Random(seed), []
    for number in range(count):
        right = generator.randrange(2)
        prompt = " ".join([*generator.choices(WORDS[10:], k=generator.randint(1, 9)), WORDS[1 + right]])
        candidates = [" w3", " w4 w5"]
        if more:
            others = {f" w6 {word} w7" for word in generator.choices(WORDS[10:], k=generator.randint(0, more))}
            candidates += sorted(others)
        rows.append({"id": f"question{number}", "prompt": prompt, "candidates": candidates, "label": right})
    return rows


class Record(TrainerCallback):
    """Keeps loss and gradient norm of every step."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "grad_norm" in logs:
            self.steps.append((float(logs["loss"]), float(logs["grad_norm"])))


def stage_folders(runs: Path, name: str = "*") -> list[Path]:
    """List the folders of stages of a kind, or of the trainings of a model with a role such as `student`."""
    if name not in TRAINED:
        return sorted((runs / "stages").glob(f"{name}-*"))
    configs = {path.parent: yaml.safe_load(path.read_text()) for path in sorted(runs.glob("stages/*/config.yaml"))}
    return [folder for folder, config in configs.items() if (config["stage"], config.get("of")) == ("train", name)]


def copy_runs(source: Path, target: Path, without: Iterable[Path]) -> None:
    """Copy a folder of runs, paths in its configs included, but for some stages: a run there has these to make."""
    gone = {path.name for path in without}
    shutil.copytree(source, target, ignore=lambda _, names: gone.intersection(names))
    for path in target.glob("stages/*/config.yaml"):
        manifest = StageFolder(path.parent).manifest()
        path.write_text(path.read_text(encoding="utf-8").replace(str(source), str(target)), encoding="utf-8")
        StageFolder(path.parent).seal(manifest)
