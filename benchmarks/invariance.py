"""Does a recipe give the same, however it is computed? Run it in every way and compare with the plain one.

    python -m benchmarks.invariance            # all ways that this machine has; the table of docs/reliability.md
    python -m benchmarks.invariance --small    # one process only, as the suite does
    python -m benchmarks.invariance --only 2x16 "ZeRO-2, 2x16"

Every way is a whole run of one small recipe in a generated world: a weak model, its labels, a student, a ceiling. Data
and pretrained models are shared. Compared are weak labels and test scores with those of the plain run: one process,
batches of 32, the prompt in every row. Where there is a GPU, runs of one process and those named after a card compute
on it, all others on CPUs. Exit code 1 where a difference is above its bound.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from w2s_rm.cli import main as w2s_rm
from w2s_rm.data.label_store import read_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.runs.plan import PlannedStage, read_run

ROOT = Path(__file__).resolve().parents[1]
MODEL = {"num_hidden_layers": 2, "num_attention_heads": 2, "corpus": {"name": "facts", "n_entities": 16}}
RECIPE: Mapping[str, Any] = {
    "name": "invariance",
    # 8 steps in an epoch, the last one ragged.
    "task": {"name": "world_preference", "n_entities": 16, "n_train": 490, "n_test": 200},
    "weak": {"pretrain": {**MODEL, "hidden_size": 32, "steps": 150}},
    "strong": {"pretrain": {**MODEL, "hidden_size": 64, "steps": 250}},
    "methods": {"logconf": {"loss": {"name": "log_confidence", "warmup_fraction": 0.3}}},
    "train": {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 50,
        "learning_rate": 5e-4,
        "max_length": 32,
        "layout": "padded",
        "bf16": False,
        "gradient_checkpointing": False,
        "save_steps": 4,
    },
}
LORA = {"use_peft": True, "lora_r": 4, "lora_dropout": 0.0}
SHARED = ("prepare-", "pretrain-")
# Of a probability, and of a score in deviations of the plain run's scores: sums come in another order.
LABEL_BOUND, SCORE_BOUND = 1e-3, 1e-2


@dataclass(frozen=True)
class Way:
    """One way to compute the recipe.

    Args:
        train (`Mapping`): Training options beside those of the recipe.
        engine (`str`, *optional*): Name of an accelerate config; `cpu_zero1` and those for one card are made here.
        killed (`bool`): Whether the run is killed in the midst of a student's training, and goes on.
        lora (`bool`): Whether the models are trained with LoRA.
        attention (`str`, *optional*): How the models compute attention, where not as they come.
        card (`bool`): Whether it needs a GPU.
    """

    train: Mapping[str, Any]
    engine: str | None = None
    killed: bool = False
    lora: bool = False
    attention: str | None = None
    card: bool = False

    def recipe(self, folder: Path) -> dict[str, Any]:
        """The recipe in this way."""
        made: dict[str, Any] = {**RECIPE, "train": {**RECIPE["train"], **self.train}}
        more = {**(LORA if self.lora else {}), **({"attn_implementation": self.attention} if self.attention else {})}
        made |= {part: {**RECIPE[part], **more} for part in ("weak", "strong")}
        if self.engine is not None:
            made["accelerate_config"] = str(_engine(self.engine, folder))
        return made


def _batches(size: int, accumulation: int = 1, **more: Any) -> dict[str, Any]:
    return {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation, **more}


_PROMPT_ONCE = {"layout": "shared_prefix"}
_BUDGET = {"max_tokens_per_batch": 96}
_PLAIN = "1x32, plain"
_OF_ONE: Mapping[str, Way] = {
    _PLAIN: Way({}),
    "1x8x4": Way(_batches(8, 4)),
    "1x32, prompt once": Way(_PROMPT_ONCE),
    "1x32, 96 tokens a pass": Way(_BUDGET),
    "1x32, prompt once, 96 tokens a pass": Way({**_PROMPT_ONCE, **_BUDGET}),
    "1x32, killed and resumed": Way({}, killed=True),
}
_OF_TWO: Mapping[str, Way] = {
    "2x16": Way(_batches(16), "cpu_ddp"),
    "2x4x4": Way(_batches(4, 4), "cpu_ddp"),
    "2x4x4, prompt once, 96 tokens a pass": Way({**_batches(4, 4), **_PROMPT_ONCE, **_BUDGET}, "cpu_ddp"),
    "ZeRO-1, 2x16": Way(_batches(16), "cpu_zero1"),
    "ZeRO-2, 2x16": Way(_batches(16), "cpu_zero2"),
    "ZeRO-2, 2x4x4, prompt once, 96 tokens a pass": Way({**_batches(4, 4), **_PROMPT_ONCE, **_BUDGET}, "cpu_zero2"),
    "ZeRO-3, 2x16": Way(_batches(16), "cpu_zero3"),
    "ZeRO-3, 2x4x4, prompt once, 96 tokens a pass": Way({**_batches(4, 4), **_PROMPT_ONCE, **_BUDGET}, "cpu_zero3"),
    "ZeRO-3, 2x16, killed and resumed": Way(_batches(16), "cpu_zero3", killed=True),
}
_LORA_TOO = (
    _PLAIN,
    "1x32, prompt once, 96 tokens a pass",
    "1x32, killed and resumed",
    "2x4x4",
    "ZeRO-2, 2x16",
    "ZeRO-3, 2x16",
)
_WITH_LORA = {f"LoRA, {name}": dataclasses.replace({**_OF_ONE, **_OF_TWO}[name], lora=True) for name in _LORA_TOO}
_ON_A_CARD: Mapping[str, Way] = {
    "card, FlexAttention, prompt once": Way(_PROMPT_ONCE, attention="flex_attention", card=True),
    "card, ZeRO-2": Way({}, "zero2", card=True),
    "card, ZeRO-3, 96 tokens a pass": Way(_BUDGET, "zero3", card=True),
    "card, ZeRO-3, offloaded": Way({}, "zero3_offload", card=True),
    "LoRA, card, ZeRO-3": Way({}, "zero3", lora=True, card=True),
}
WAYS: Mapping[str, Way] = {**_OF_ONE, **_OF_TWO, **_WITH_LORA, **_ON_A_CARD}
SMALL = (
    *(name for name in _OF_ONE if "tokens a pass" not in name or "once" in name),
    *(f"LoRA, {name}" for name in (_PLAIN, "1x32, prompt once, 96 tokens a pass")),
)


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        labels (`Mapping[str, Sequence[float]]`): Weak labels by example id.
        scores (`Mapping[str, Sequence[float]]`): Test scores by model and example id.
    """

    labels: Mapping[str, Sequence[float]]
    scores: Mapping[str, Sequence[float]]


def _engine(name: str, folder: Path) -> Path:
    """An accelerate config: of two CPU processes, where ZeRO-1 is ZeRO-2 with another stage, or of one card."""
    shipped = ROOT / "deepspeed_configs"
    if name != "cpu_zero1" and name.startswith("cpu_"):
        return shipped / f"{name}.yaml"
    config = yaml.safe_load((shipped / f"{name.replace('zero1', 'zero2')}.yaml").read_text(encoding="utf-8"))
    if name == "cpu_zero1":
        config["deepspeed_config"]["zero_stage"] = 1
    else:
        config["num_processes"] = 1
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _here(way: Way) -> bool:
    """Whether this machine has what a way needs."""
    return not way.card or torch.cuda.is_available()


def outcome_of(name: str, folder: Path) -> Outcome:
    """Run the recipe in a way, in a folder of its own, and read what came out.

    Args:
        name (`str`): One of `WAYS`.
        folder (`Path`): With the folders of all ways.
    """
    way, runs = WAYS[name], folder / "".join(c if c.isalnum() else "_" for c in name)
    runs.mkdir()
    stages = folder / "shared"
    if stages.is_dir():
        shutil.copytree(stages, runs / "stages")
    (runs / "recipe.yaml").write_text(yaml.safe_dump(way.recipe(runs), sort_keys=False), encoding="utf-8")
    command = ["run", str(runs / "recipe.yaml"), "--runs", str(runs)]
    if way.killed:
        _kill_in_training([sys.executable, "-m", "w2s_rm.cli", *command], runs)
    code = w2s_rm(command)
    if code != 0:
        raise RuntimeError(f"{name}: the run ended with code {code}")
    if not stages.is_dir():
        for made in (runs / "stages").iterdir():
            if made.name.startswith(SHARED):
                shutil.copytree(made, stages / made.name)
    return _read(runs / RECIPE["name"])


def _kill_in_training(command: Sequence[str], runs: Path) -> None:
    """Start a run and kill it, and all it has launched, at the first whole checkpoint of a student."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while not list((runs / "stages").glob("student-*/trainer/checkpoint-*/complete")):
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode} before it could be killed")
            time.sleep(0.002)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(run_dir: Path) -> Outcome:
    run = read_run(run_dir)
    relabel = next(stage for stage in run.stages if stage.stage == "relabel")
    labels = {label.id: label.probabilities for label in read_labels(relabel.folder / "weak_labels.parquet")}
    scores: dict[str, Sequence[float]] = {}
    for stage in _judged(run.stages):
        predictions = read_predictions(stage.folder / "predictions.parquet")
        named = f"{stage.of} {stage.method or ''}".rstrip()
        scores |= {f"{named} {id}": row for id, row in zip(predictions.ids, predictions.scores, strict=True)}
    return Outcome(labels, scores)


def _judged(stages: Sequence[PlannedStage]) -> Iterator[PlannedStage]:
    return (stage for stage in stages if stage.stage == "evaluate")


def difference(plain: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> float:
    """The largest absolute difference of two sets of numbers with the same names.

    Args:
        plain (`Mapping[str, Sequence[float]]`): Numbers by name.
        other (`Mapping[str, Sequence[float]]`): Likewise.
    """
    assert plain.keys() == other.keys()
    pairs = ((a, b) for name, row in plain.items() for a, b in zip(row, other[name], strict=True))
    return max(abs(a - b) for a, b in pairs)


def _spread(scores: Mapping[str, Sequence[float]]) -> float:
    return statistics.pstdev(score for row in scores.values() for score in row)


def _row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> int:
    """Run the recipe in all ways asked for; print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="ways of one process only")
    parser.add_argument(
        "--only", nargs="+", choices=list(WAYS), metavar="WAY", help="these, and what they compare with"
    )
    parser.add_argument("--folder", type=Path, help="where the runs go, and stay (default: a temporary folder)")
    arguments = parser.parse_args()
    chosen = arguments.only or (SMALL if arguments.small else tuple(name for name, way in WAYS.items() if _here(way)))
    if missing := [name for name in chosen if not _here(WAYS[name])]:
        parser.error(f"there is no GPU on this machine, which {', '.join(missing)} would need")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return _compare(chosen, folder.resolve())


def _compare(chosen: Sequence[str], folder: Path) -> int:
    _row(("way", "labels", "scores", "scores, in deviations"))
    _row(["---"] * 4)
    plain: dict[bool, Outcome] = {}
    above = 0
    for name in dict.fromkeys([_PLAIN, *chosen]):
        lora = WAYS[name].lora
        if lora and lora not in plain and name != f"LoRA, {_PLAIN}":
            plain[lora] = _quietly(f"LoRA, {_PLAIN}", folder)
        found = _quietly(name, folder)
        if lora not in plain:
            plain[lora] = found
            _row((name, "", "", f"one deviation is {_spread(found.scores):.3g}"))
            continue
        labels, scores = difference(plain[lora].labels, found.labels), difference(plain[lora].scores, found.scores)
        relative = scores / _spread(plain[lora].scores)
        above += labels > LABEL_BOUND or relative > SCORE_BOUND
        _row((name, f"{labels:.1e}", f"{scores:.1e}", f"{relative:.1e}"))
    return int(above > 0)


def _quietly(name: str, folder: Path) -> Outcome:
    """Run a way; what the run says goes where it does not disturb the table."""
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        return outcome_of(name, folder)
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


if __name__ == "__main__":
    sys.exit(main())
