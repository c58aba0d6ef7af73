"""What the benchmark compares: a trainer, its options and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
from trl import RewardConfig, RewardTrainer

from benchmarks._data import load
from benchmarks._models import load_model, model_path
from benchmarks._settings import CHESS_PASSES, Settings
from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer


@dataclass(frozen=True)
class Variant:
    """A trainer with its rows.

    Args:
        task (`str`): `training`, `relabelling` or `chess`.
        name (`str`): `trl`, `trl_sorted`, or the layout of ours.
        settings ([`Settings`]): The command line.
        folder (`Path`): Where models and rows are.
    """

    task: str
    name: str
    settings: Settings
    folder: Path

    @property
    def theirs(self) -> bool:
        """Whether this is TRL's trainer."""
        return self.name.startswith("trl")

    @property
    def passes(self) -> int:
        """Forward passes in a step."""
        return self.settings.accumulation * (CHESS_PASSES if self.task == "chess" else 1)

    def rows(self) -> datasets.Dataset:
        """The rows of a round."""
        return load(self.folder, self.task, self.name)

    def first_rows(self) -> datasets.Dataset:
        """The rows of a warm-up, the same examples for all variants."""
        return load(self.folder, self.task, "trl" if self.theirs else self.name).select(range(self.settings.batch_size))

    def trainer(self, rows: datasets.Dataset, *callbacks: TrainerCallback) -> Any:
        """Build the trainer with a fresh copy of the weights.

        Args:
            rows (`datasets.Dataset`): What to train on.
            callbacks (`TrainerCallback`): What watches it.
        """
        path = model_path(self.settings, self.folder, self.task)
        common: dict[str, Any] = {
            "model": load_model(path, self.task),
            "train_dataset": rows,
            "processing_class": AutoTokenizer.from_pretrained(path),
            "callbacks": list(callbacks),
        }
        if self.theirs:
            trainer: Any = RewardTrainer(args=RewardConfig(**self._options()), **common)
        elif self.task == "chess":
            trainer = W2STrainer(args=W2SRewardConfig(**self._options(), layout=self.name), head="lm", **common)
        else:
            trainer = W2SRewardTrainer(args=W2SRewardConfig(**self._options(), layout=self.name), **common)
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _options(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "output_dir": str(self.folder / "output"),
            "per_device_train_batch_size": settings.batch_size // self.passes,
            "per_device_eval_batch_size": settings.batch_size // self.passes,
            "gradient_accumulation_steps": self.passes,
            "num_train_epochs": 1,
            "max_length": settings.max_length,
            "train_sampling_strategy": "sequential" if self.name == "trl_sorted" else "random",
            "report_to": "none",
            "save_strategy": "no",
            "gradient_checkpointing": settings.gradient_checkpointing,
            "use_cpu": not torch.cuda.is_available(),
            "bf16": torch.cuda.is_available() if settings.bf16 is None else settings.bf16,
            "disable_tqdm": True,
            "logging_steps": 50,
        }
