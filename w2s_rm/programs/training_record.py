"""What a training leaves while it runs: metrics, and checkpoints that are known to be whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from w2s_rm.files import write_text
from w2s_rm.programs.launched import is_main_process
from w2s_rm.runs.folder import StageFolder

_COMPLETE = "complete"


class StageRecord(TrainerCallback):
    """Keep `metrics.jsonl`, and mark a checkpoint only when it is whole.

    Args:
        folder (`Path`): The stage folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Drop what an interrupted run logged after the checkpoint from which this one goes on."""
        if not state.is_world_process_zero:
            return
        goes_on = state.global_step > 0 and self.path.is_file()
        lines = self.path.read_text(encoding="utf-8").splitlines() if goes_on else []
        # A process that was killed may have left half of a line.
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= state.global_step]
        write_text(self.path, "".join(f"{line}\n" for line in kept))

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
                file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save no checkpoint at the end: the model is saved then, and to go on from it would take one step more."""
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The same where checkpoints are saved after epochs."""
        self.on_step_end(args, state, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Mark the checkpoint as whole once every rank has written its part."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()


def last_checkpoint(folder: StageFolder) -> str | None:
    """Return the newest whole checkpoint; half-written ones are removed."""
    checkpoints = sorted((folder.path / "trainer").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    if is_main_process():
        for path in checkpoints:
            if not (path / _COMPLETE).is_file():
                shutil.rmtree(path)
    whole = [path for path in checkpoints if (path / _COMPLETE).is_file()]
    return str(whole[-1]) if whole else None


def clean(folder: StageFolder) -> None:
    """Remove the checkpoints of a stage that is about to finish."""
    for path in (folder.path / "trainer").glob("checkpoint-*"):
        shutil.rmtree(path)
    # TRL's draft of a card, written with each checkpoint: the model has its own.
    (folder.path / "trainer" / "README.md").unlink(missing_ok=True)
    if (folder.path / "trainer").is_dir() and not any((folder.path / "trainer").iterdir()):
        (folder.path / "trainer").rmdir()
