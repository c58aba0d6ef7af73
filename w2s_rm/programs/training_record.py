"""What a training leaves while it runs: metrics, and checkpoints that are known to be whole."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from w2s_rm.files import changes, checksums, read_signed, write_signed, write_text
from w2s_rm.programs.launched import is_main_process
from w2s_rm.runs.folder import METRICS, UNFINISHED, StageFolder
from w2s_rm.runs.progress import Reporter

logger = logging.getLogger(__name__)

_COMPLETE = "complete"


class StageRecord(TrainerCallback):
    """Keep `metrics.jsonl`, say how far the training is, and mark a checkpoint only when it is whole.

    Args:
        folder (`Path`): The stage folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS
        self.report = Reporter(folder)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begin with what the checkpoint knows of the steps before it: the file itself may end in half of a line."""
        if state.is_world_process_zero:
            write_text(self.path, "".join(self._line(int(entry["step"]), entry) for entry in state.log_history))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Append one line of metrics."""
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self._line(state.global_step, logs or {}))
            self.report.measured(logs or {})

    @staticmethod
    def _line(step: int, logs: Mapping[str, float]) -> str:
        # The mean loss of the steps since the last checkpoint that was gone on from (`Trainer._finalize_training`): a
        # number that depends on when a training was interrupted.
        kept = {name: value for name, value in logs.items() if name not in ("step", "train_loss")}
        return json.dumps({"step": step, **kept}) + "\n"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save no checkpoint at the end: the model is saved then, and to go on from it would take one step more."""
        if state.is_world_process_zero:
            self.report(state.global_step, state.max_steps)
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The same where checkpoints are saved after epochs."""
        self.on_step_end(args, state, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Mark the checkpoint as whole once every rank has written its part."""
        # Under ZeRO every rank writes its part of the optimizer.
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
            write_signed(folder / _COMPLETE, checksums(folder, names))


def last_checkpoint(folder: StageFolder) -> str | None:
    """Return the newest checkpoint that is as it was written; half-written and changed ones are removed."""
    if is_main_process():
        for path in _checkpoints(folder):
            if problems := _problems(path):
                logger.warning("%s: %s; training does not go on from it", path, "; ".join(problems))
                shutil.rmtree(path)
    # One rank has read them for all, which may be much to read.
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    # As numbers: as text, checkpoint-900 would come after checkpoint-1000.
    whole = sorted(_checkpoints(folder), key=lambda path: int(path.name.split("-")[1]))
    return str(whole[-1]) if whole else None


def _checkpoints(folder: StageFolder) -> list[Path]:
    return list((folder.path / UNFINISHED).glob("checkpoint-*"))


def _problems(checkpoint: Path) -> list[str]:
    try:
        return changes(checkpoint, read_signed(checkpoint / _COMPLETE), content=True)
    except FileNotFoundError:
        return ["is not whole"]
    except ValueError as error:
        return [f"{_COMPLETE} {error}"]


def clean(folder: StageFolder) -> None:
    """Remove the checkpoints of a stage that is about to finish."""
    trainer = folder.path / UNFINISHED
    for path in _checkpoints(folder):
        shutil.rmtree(path)
    # TRL's draft of a card, written with each checkpoint: the model has its own.
    (trainer / "README.md").unlink(missing_ok=True)
    if trainer.is_dir() and not any(trainer.iterdir()):
        trainer.rmdir()
