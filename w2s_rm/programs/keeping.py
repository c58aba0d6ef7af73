"""Save a model in the midst of its training, and keep the best of several until its end."""

from __future__ import annotations

import json
import shutil
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from w2s_rm.errors import ArtifactError
from w2s_rm.files import put_in_place, write_json
from w2s_rm.metrics.stopping import earliest_best
from w2s_rm.programs.launched import is_main_process
from w2s_rm.runs.folder import StageFolder

_PROBE_EXAMPLES = 8
# Their candidates give mean and deviation of the scores to a few hundredths of the deviation.
_SCALE_EXAMPLES = 500
KEPT = "kept"
"""Where the best models are, in the stage's folder, until one of them is taken."""
_UNFINISHED, _FACTS, _MODEL = "unfinished", "kept.json", "model"


@dataclass(frozen=True)
class Saved:
    """What is known of a model that was saved.

    Args:
        step (`int`): Steps of training before.
        probe (`list[list[float]]`): Scores of the first few training examples, as the trainer gave them.
        scale (`dict[str, float]`): Mean and standard deviation of the scores of some more.
    """

    step: int
    probe: list[list[float]]
    scale: dict[str, float]


def save(trainer: Any, rows: datasets.Dataset, place: Path) -> Saved:
    """Save a trainer's model as it is, on all ranks; with LoRA its adapter.

    Args:
        trainer ([`~w2s_rm.W2SRewardTrainer`]): The trainer.
        rows (`Dataset`): What it is trained on, encoded.
        place (`Path`): Folder to write.
    """
    # Before saving, and on all ranks: under ZeRO-3 none has the whole model to score with.
    scale = _scale(trainer, rows)
    probe = [list(row.scores) for part in trainer.score_rows(probe_of(rows)) for row in part]
    trainer.save_model(str(place))
    trainer.accelerator.wait_for_everyone()
    return Saved(trainer.state.global_step, probe, scale)


def probe_of(rows: datasets.Dataset) -> datasets.Dataset:
    """Return the examples by whose scores a saved model is compared with the trained one.

    Args:
        rows (`Dataset`): What it is trained on.
    """
    return rows.select(range(min(_PROBE_EXAMPLES, len(rows))))


def _scale(trainer: Any, rows: datasets.Dataset) -> dict[str, float]:
    """Measure the scale of the scores on some of the training examples, evenly spaced, on all ranks."""
    sample = rows.select(range(0, len(rows), -(-len(rows) // _SCALE_EXAMPLES)))
    scores = [score for part in trainer.score_rows(sample) for row in part for score in row.scores]
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores)
    return {"scored_examples": len(sample), "score_mean": mean, "score_std": spread}


class Keeper(TrainerCallback):
    """Keeps the first of the best models of a training on disk, whatever comes after it.

    A run that is interrupted goes on from its last checkpoint. So what was the best then is kept as well, until there
    is another checkpoint: what came in between is done again, and may come out otherwise.

    Args:
        trainer ([`~w2s_rm.W2SRewardTrainer`]): Trains the model.
        folder ([`~w2s_rm.runs.folder.StageFolder`]): The stage's folder, held by the first rank.
        rows (`Dataset`): What it is trained on, encoded.
    """

    def __init__(self, trainer: Any, folder: StageFolder, rows: datasets.Dataset) -> None:
        self.trainer, self.folder, self.rows = trainer, folder, rows
        self.best: tuple[int, float] | None = None
        self.best_at_checkpoint: int | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take up what was kept until the checkpoint, and drop what came after it."""
        kept = [step for step in self._steps() if step <= state.global_step] if state.global_step else []
        # The model before the first step is offered as well: whatever the checkpoint, one was kept.
        if state.global_step and not kept:
            raise ArtifactError(f"{self.folder.path / KEPT}: is gone; remove {self.folder.path}, and run again")
        # All ranks have listed what was kept before the first one removes any of it.
        self.trainer.accelerator.wait_for_everyone()
        self._remove_all_but(*kept)
        if kept:
            self.best = (max(kept), self._facts(max(kept))["value"])
            self.best_at_checkpoint = self.best[0]

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Nothing before this checkpoint will be asked for again, which is whole by now."""
        if self.best is not None:
            self.best_at_checkpoint = self.best[0]
            self._remove_all_but(self.best[0])

    def offer(self, step: int, value: float) -> None:
        """Save the model, on all ranks, if it is better than all before.

        Args:
            step (`int`): Steps of training before.
            value (`float`): What it is worth; the higher, the better.
        """
        # All ranks have the same value, and so all go on or none. By the rule with which reports find the best step,
        # ties included.
        if self.best is not None and earliest_best([self.best[1], value]) == 0:
            return
        unfinished = self.folder.path / KEPT / _UNFINISHED
        saved = save(self.trainer, self.rows, unfinished / _MODEL)
        self.best = (step, value)
        if is_main_process():
            write_json(unfinished / _FACTS, {**asdict(saved), "value": value})
            put_in_place(unfinished, self._path(step))
            self._remove_all_but(step, self.best_at_checkpoint)
        self.trainer.accelerator.wait_for_everyone()

    def take(self, place: Path) -> Saved:
        """Put the best model, of which a copy is kept, where a saved one belongs; all ranks know of it.

        Args:
            place (`Path`): Folder to write.
        """
        assert self.best is not None
        step, _ = self.best
        if is_main_process():
            self.folder.remove(place.name)
            # A copy: a stage that is killed from here on goes on from its checkpoint, and asks for the kept one again.
            shutil.copytree(self._path(step) / _MODEL, place)
        facts = self._facts(step)
        self.trainer.accelerator.wait_for_everyone()
        return Saved(step, facts["probe"], facts["scale"])

    def _path(self, step: int) -> Path:
        return self.folder.path / KEPT / f"step-{step}"

    def _facts(self, step: int) -> dict[str, Any]:
        return dict(json.loads((self._path(step) / _FACTS).read_text(encoding="utf-8")))

    def _steps(self) -> list[int]:
        return [int(path.name.removeprefix("step-")) for path in (self.folder.path / KEPT).glob("step-*")]

    def _remove_all_but(self, *steps: int | None) -> None:
        if is_main_process():
            gone = [self._path(step).name for step in self._steps() if step not in steps]
            StageFolder(self.folder.path / KEPT).remove(_UNFINISHED, *gone)
