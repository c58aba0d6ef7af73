"""Score held-out splits between the steps of a training, and keep what was scored: its curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from w2s_rm.data.curves import CURVE_FILE, TEST, VALIDATION, CurvePart, join_curves, write_curve
from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import read_labels
from w2s_rm.data.label_store import join_labels
from w2s_rm.metrics.stopping import stopping_credits
from w2s_rm.programs.launched import is_main_process
from w2s_rm.programs.scoring import encode, predictions_of, take_all, to_rows
from w2s_rm.runs.folder import StageFolder
from w2s_rm.training.evaluations import Evaluations
from w2s_rm.training.layouts import refuse_long_rows
from w2s_rm.types import Example

PARTS = "curve"
"""Where the scores of each time are, in the stage's folder, until they are joined."""


@dataclass(frozen=True)
class HeldOut:
    """A split that is scored while a model is trained.

    Args:
        name (`str`): `validation` or `test`.
        examples (`list[Example]`): Its examples.
        rows (`Dataset`): The same, encoded.
        labels (`list[tuple[float, ...]]`, *optional*): What the supervisor says of each.
    """

    name: str
    examples: list[Example]
    rows: datasets.Dataset
    labels: list[tuple[float, ...]] | None = None


def held_out(stage_args: Any, args: Any, tokenizer: Any) -> list[HeldOut]:
    """Read and encode the splits that a stage scores while it trains.

    Args:
        stage_args (`Any`): Paths of the splits, setting and head.
        args ([`~w2s_rm.W2SRewardConfig`]): `max_length`.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.

    Raises:
        DataError: Unreadable, or labels that do not fit.
    """
    splits = []
    for name, path, labels in (
        (VALIDATION, stage_args.validation, stage_args.validation_labels),
        # The supervisor is not asked about the test split: nothing may be chosen by what it says there.
        (TEST, stage_args.test, None),
    ):
        if path is None:
            continue
        examples = read_examples(Path(path))
        rows = to_rows(examples, encode(stage_args.setting, tokenizer, examples, args.max_length, stage_args.head))
        said = None if labels is None else join_labels(examples, read_labels(Path(labels)), source=labels)
        splits.append(HeldOut(name, examples, rows, said))
    return splits


class Curve(TrainerCallback):
    """Scores held-out splits before the first step, at the end, and between, and keeps a file of each time.

    All ranks score; each knows all values, the first one writes.

    Args:
        trainer ([`~w2s_rm.W2SRewardTrainer`]): Trains the model.
        folder ([`~w2s_rm.runs.folder.StageFolder`]): The stage's folder, held by the first rank.
        evaluations ([`~w2s_rm.training.evaluations.Evaluations`]): When.
        splits (`Sequence[HeldOut]`): What is scored.
        judge (`Callable[[int, float], None]`, *optional*): Is told of each step and what the rule that stops trainings
            gives it, while the model is as it was scored.
    """

    def __init__(
        self,
        trainer: Any,
        folder: StageFolder,
        evaluations: Evaluations,
        splits: Sequence[HeldOut],
        judge: Callable[[int, float], None] | None = None,
    ) -> None:
        self.trainer, self.folder, self.evaluations, self.splits = trainer, folder, evaluations, splits
        self.judge = judge
        self.steps: list[int] = []
        # Now, and not after the hours of training before the first time that a row is too long.
        refuse_long_rows(trainer.model, [split.rows for split in splits])

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Score the model at the start, or drop what an interrupted run scored after the checkpoint."""
        self.steps = self.evaluations.steps(state.max_steps)
        if is_main_process():
            # Behind the checkpoint the training goes its way again, and to the last bit perhaps another one; without a
            # checkpoint all of it does.
            gone = [step for step in self.steps if step > state.global_step or not state.global_step]
            self.folder.remove(*(self._part(step) for step in gone))
        # Where there is a checkpoint, an earlier try has scored the start, and its file is there.
        if state.global_step == 0:
            self._evaluate(0)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Score the model after the steps that are due: before a checkpoint of the same step is saved."""
        if state.global_step in self.steps:
            self._evaluate(state.global_step)

    def join(self) -> dict[str, Any]:
        """Put the files of all times into one, on the first rank; return what the manifest says of them."""
        # Files of an earlier try are among them: of all steps up to the checkpoint from which this one went on.
        join_curves(self.folder.path / CURVE_FILE, [self.folder.path / self._part(step) for step in self.steps])
        rows = len(self.steps) * sum(len(split.examples) for split in self.splits)
        return {"evaluated_steps": self.steps, "evaluated_rows": rows}

    def _part(self, step: int) -> str:
        return f"{PARTS}/step-{step}.parquet"

    def _evaluate(self, step: int) -> None:
        with self.trainer.between_steps():
            tallies = {split.name: _Tally() for split in self.splits}
            # A generator: scores are written as they come, and the tallies are full once the file is.
            parts = (part for split in self.splits for part in self._scored(step, split, tallies[split.name]))
            if is_main_process():
                write_curve(self.folder.path / self._part(step), parts)
            else:
                # To score is the work of all ranks: without the parts of one the others would wait.
                take_all(parts)
            values = (value for split in self.splits for value in tallies[split.name].values(split))
            # The word by which trackers tell such values from those of training.
            self.trainer.log({f"eval_{name}": value for name, value in values})
            # Still between the steps, while the model has the weights that were scored: an optimizer may keep two sets
            # of them.
            if self.judge is not None:
                self.judge(step, tallies[VALIDATION].stopping.mean)

    def _scored(self, step: int, split: HeldOut, tally: _Tally) -> Iterator[CurvePart]:
        examples, labels = iter(split.examples), iter(split.labels or ())
        for scored in self.trainer.score_rows(split.rows):
            greedy = tuple(row.greedy for row in scored if row.greedy is not None)
            predictions = predictions_of(
                list(islice(examples, len(scored))), [row.scores for row in scored], greedy or None
            )
            said = None if split.labels is None else tuple(islice(labels, len(scored)))
            part = CurvePart(step, split.name, predictions, said)
            tally.add(part)
            yield part


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, credits_B: Any) -> None:
        self.total += float(credits_B.sum())
        self.count += len(credits_B)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0


@dataclass
class _Tally:
    """What is known of a split, added up while its scores go by."""

    accuracy: _Mean = field(default_factory=_Mean)
    stopping: _Mean = field(default_factory=_Mean)

    def add(self, part: CurvePart) -> None:
        scores, gold, ids = part.predictions.scores, part.predictions.gold, part.predictions.ids
        self.accuracy.add(stopping_credits(scores, gold))
        self.stopping.add(stopping_credits(scores, gold, part.labels, ids))

    def values(self, split: HeldOut) -> Iterator[tuple[str, float]]:
        """What is logged: accuracy where there is truth, agreement where the supervisor said something."""
        if self.accuracy.count:
            yield f"{split.name}_accuracy", self.accuracy.mean
        if split.labels is not None:
            yield f"{split.name}_agreement", self.stopping.mean
