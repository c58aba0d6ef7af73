"""A place for a campaign of faults: a recipe, what an undisturbed run of it makes, and runs that are disturbed.

Each run is a process of its own, forked from one that has imported the libraries: it works at once, and is killed as
any other process is.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.runs.folder import StageFolder

MODEL: Mapping[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "batch_size": 32}
FACTS: Mapping[str, Any] = {"name": "facts", "n_entities": 12}
RECIPE: Mapping[str, Any] = {
    "name": "faults",
    "task": {"name": "world_preference", "n_entities": 12, "n_train": 200, "n_validation": 24, "n_test": 60},
    "weak": {"pretrain": {**MODEL, "corpus": FACTS, "hidden_size": 16, "steps": 12}},
    "strong": {"pretrain": {**MODEL, "corpus": FACTS, "hidden_size": 32, "steps": 25}},
    "methods": {
        "naive": {"loss": "cross_entropy"},
        "careful": {
            "loss": "cross_entropy",
            "supervisor": {"name": "mixture", "n_true": 8},
            "labels": [{"name": "keep_confident", "share": 0.9}],
            "before": ["generative"],
        },
        "linear": {"loss": "cross_entropy", "train": {"on": "features", "layer": 1, "l2": 0.1}},
    },
    "train": {
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 60,
        "learning_rate": 1e-3,
        "max_length": 32,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_steps": 3,
    },
    "policy": {
        "pretrain": {**MODEL, "corpus": {"name": "answers", "n_entities": 12}, "hidden_size": 16, "steps": 12},
        "max_completion_length": 2,
        "samples": 1,
        "evaluations": 2,
        "methods": {"dpo": {"trainer": "dpo", "train": {"per_device_train_batch_size": 8, "num_train_epochs": 1}}},
        "train": {"bf16": False, "gradient_checkpointing": False, "save_steps": 1},
    },
}
"""All kinds of stages that a run on a generated world makes, in small."""
SMALL: Mapping[str, Any] = {
    **{name: value for name, value in RECIPE.items() if name not in ("policy", "methods")},
    "methods": {"naive": RECIPE["methods"]["naive"]},
}
"""The least that has a weak model, a student and a ceiling."""
HUNG = "did not end"
"""Stands in the log of a process that outlasted all patience."""
# Times, and what depends on how often a stage was interrupted: of no result.
_INCIDENTAL_FILES = ("metrics.jsonl",)
_INCIDENTAL_COUNTS = ("seconds", "kept_shards", "requests")
_DONE = re.compile(r"^\[\d+/\d+\] (.*): done in ([\d.]+) s$", re.MULTILINE)
_PATIENCE_S = 900.0
_POLL_S = 0.004


@dataclass(frozen=True)
class Entry:
    """A stage of the recipe.

    Args:
        title (`str`): As lines of progress name it.
        kind (`str`): Its noun: `prepare`, `student`, ...
        folder (`Path`): Its folder.
        seconds (`float`): How long the undisturbed run took for it.
        readers (`tuple[Path, ...]`): Folders of the stages that read it.
    """

    title: str
    kind: str
    folder: Path
    seconds: float
    readers: tuple[Path, ...]


@dataclass
class Process:
    """A command in a process of its own.

    Args:
        pid (`int`): The process, which leads its session and its group.
        log (`Path`): What it prints.
        code (`int`, *optional*): Its exit code once it has ended; below zero the signal that ended it.
    """

    pid: int
    log: Path
    code: int | None = None

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def wait_for(self, seen: Callable[[], bool]) -> bool:
        """Wait until something is seen; whether it was before the process ended."""
        while not seen():
            if not self.running():
                return False
            time.sleep(_POLL_S)
        return True

    def wait_to_say(self, text: str) -> bool:
        """Wait until it has printed something; whether it did before it ended."""
        return self.wait_for(lambda: text in self.said())

    def kill_within(self, seconds: float, end: str) -> None:
        """Kill it after a time, or as soon as it has printed something."""
        until = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= until or end in self.said())
        self.kill()

    def wait(self, patience_s: float = _PATIENCE_S) -> int:
        """Wait for its end and return its exit code; one that outlasts the patience is killed and counts as hung."""
        give_up = time.monotonic() + patience_s
        while self.running():
            if time.monotonic() > give_up:
                self.kill()
                with self.log.open("a", encoding="utf-8") as log:
                    log.write(f"\n{HUNG} after {patience_s:.0f} s\n")
            time.sleep(_POLL_S)
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until all that it has started is gone as well."""
        import psutil

        below = psutil.Process(self.pid).children(recursive=True) if self.running() else []
        if self.running():
            os.killpg(self.pid, signal.SIGKILL)
            while self.running():
                time.sleep(_POLL_S)
        psutil.wait_procs(below, timeout=60)


@dataclass
class Bench:
    """A folder in which runs are disturbed.

    Args:
        root (`Path`): Everything lies below it.
        recipe (`Mapping`): What is run.
    """

    root: Path
    recipe: Mapping[str, Any]
    entries: list[Entry] = field(default_factory=list)
    stages: list[Any] = field(default_factory=list)
    _number: int = 0

    @property
    def place(self) -> Path:
        """Where runs and cache lie: what a fault may put on a disk of its own."""
        return self.root / "place"

    @property
    def runs(self) -> Path:
        """Where runs are kept."""
        return self.place / "runs"

    @property
    def run_folder(self) -> Path:
        """Where the report is."""
        return self.runs / str(self.recipe["name"])

    @property
    def whole(self) -> Path:
        """A copy of what the undisturbed run left."""
        return self.root / "whole"

    def prepare(self) -> None:
        """Import what runs need, run undisturbed, and keep what it made."""
        os.environ |= {"W2S_RM_CACHE": str(self.place / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self.place.mkdir(parents=True, exist_ok=True)
        (self.root / "recipe.yaml").write_text(yaml.safe_dump(dict(self.recipe), sort_keys=False), encoding="utf-8")
        _import_all()
        # What all of them have is not to be walked through in each of them.
        gc.collect()
        gc.freeze()
        process = self.run()
        code = process.wait()
        if code != 0:
            raise RuntimeError(f"the undisturbed run failed with exit code {code}:\n{process.said()}")
        times = {title: float(seconds) for title, seconds in _DONE.findall(process.said())}
        self._list(times)
        shutil.copytree(self.place, self.whole)

    def _list(self, times: Mapping[str, float]) -> None:
        from w2s_rm.experiment.plan import make_plan
        from w2s_rm.experiment.suite import load_suite

        (recipe,) = load_suite(self.root / "recipe.yaml").recipes
        stages: dict[Path, Any] = {}
        for stage in make_plan(recipe, self.runs).stages:
            # Of several roles of one folder a run announces the first.
            stages.setdefault(stage.folder, stage)
        self.stages = list(stages.values())
        for path, stage in stages.items():
            readers = tuple(other.folder for other in stages.values() if path in {need.folder for need in other.needs})
            self.entries.append(Entry(stage.title, stage.noun, path, times.get(stage.title, 1.0), readers))

    def restore(self, without: Iterable[Path] = ()) -> None:
        """Put back what the undisturbed run left, but for the folders of some stages and the report."""
        for part in self.place.iterdir():
            # Not the folder itself, which may be the root of a disk.
            shutil.rmtree(part)
        shutil.copytree(self.whole, self.place, dirs_exist_ok=True)
        for folder in without:
            shutil.rmtree(folder)
        shutil.rmtree(self.run_folder)

    def run(self, *arguments: str, before: Callable[[], None] | None = None) -> Process:
        """Start `w2s-rm run` of the recipe.

        Args:
            arguments (`str`): Further ones.
            before (`Callable`, *optional*): What the process does first.
        """
        return self.start("run", str(self.root / "recipe.yaml"), "--runs", str(self.runs), *arguments, before=before)

    def start(self, *argv: str, before: Callable[[], None] | None = None) -> Process:
        """Start a command of `w2s-rm`.

        Args:
            argv (`str`): Its arguments.
            before (`Callable`, *optional*): What the process does first.
        """
        self._number += 1
        log = self.root / "logs" / f"{self._number:05d}.txt"
        log.parent.mkdir(exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _become(argv, log, before)
        log.touch()
        return Process(pid, log)

    def begun(self, process: Process, entry: Entry) -> bool:
        """Wait until a run has begun a stage; `False` if it ended before."""
        return process.wait_to_say(f"] {entry.title} …")

    def differences(self) -> list[str]:
        """Say what of the runs is not what the undisturbed run made: files of stages, counts, the report, cards."""
        found = []
        for entry in self.entries:
            original = self.whole / entry.folder.relative_to(self.place)
            expected, folder = _content(StageFolder(original)), StageFolder(entry.folder)
            if not folder.finished or folder.problems(lambda name: True):
                found.append(f"{entry.folder.name}: not finished, or not what its manifest says")
                continue
            content = _content(folder)
            found += [f"{entry.folder.name}: {name}" for name in expected if content.get(name) != expected[name]]
        original = self.whole / self.run_folder.relative_to(self.place)
        for path in sorted(original.iterdir()):
            made = self.run_folder / path.name
            if (
                path.name != ".lock"
                and path.is_file()
                and (not made.is_file() or made.read_bytes() != path.read_bytes())
            ):
                found.append(f"{self.run_folder.name}/{path.name}")
        return found


def _content(folder: StageFolder) -> dict[str, Any]:
    """What a stage made, by file, and what it counted."""
    manifest = folder.manifest()
    files = {name: entry for name, entry in manifest["files"].items() if Path(name).name not in _INCIDENTAL_FILES}
    counts = {name: value for name, value in manifest["counts"].items() if name not in _INCIDENTAL_COUNTS}
    cards = {str(path): path.read_bytes() for path in folder.path.glob("model/README.md")}
    return {**files, "counts": json.dumps(counts), "card": list(cards.values())}


def _become(argv: Sequence[str], log: Path, before: Callable[[], None] | None) -> None:
    """In a forked process: run a command and end, whatever happens."""
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        from w2s_rm import cli
        from w2s_rm.runs.processes import die_with_parent

        die_with_parent()
        if before is not None:
            before()
        code = cli.main(argv)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Without what the parent has registered for its own end.
        os._exit(code)


def _import_all() -> None:
    """Import what any stage imports, once; a process that is forked has it, and the code as it was then."""
    import importlib
    import pkgutil

    import deepspeed  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch
    from trl import DPOTrainer, RewardTrainer, SFTTrainer  # noqa: F401

    import w2s_rm

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(w2s_rm.__path__, "w2s_rm."):
        importlib.import_module(module.name)
    from w2s_rm.training import language_model

    # Pretraining here takes a second: it shall have checkpoints from which to go on.
    language_model.CHECKPOINT_SECONDS = 0.05
