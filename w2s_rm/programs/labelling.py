"""What the stages share that make labels: the file, its preferences in TRL's form, how right it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.data.distributions import best_candidates, reordered
from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import WeakLabel, read_labels, write_labels
from w2s_rm.data.label_store import to_trl_rows, write_trl_dataset
from w2s_rm.errors import DataError, join_problems
from w2s_rm.programs.launched import held, read_config, refuse_finished
from w2s_rm.programs.scoring import remove_unfinished
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Example

LABELS_FILE = "weak_labels.parquet"


def label_examples(
    argv: Sequence[str],
    stage: str,
    label: Callable[[Mapping[str, Any], Sequence[Example]], tuple[Iterable[WeakLabel], Mapping[str, Any]]],
) -> None:
    """Run a stage that labels examples without a model.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.
        stage (`str`): Its kind.
        label (`Callable`): From the config and the examples to a label for each, and what was counted.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        labels, counts = label(config, examples)
        write_labelled(folder, stage, examples, labels, counts, config)


def labels_in_order(path: str | Path, examples: Sequence[Example]) -> list[WeakLabel]:
    """Read the labels of examples, in the order of these and of their candidates; those of others are left out.

    Args:
        path (`str` or `Path`): File of labels by id.
        examples (`Sequence[Example]`): What is labelled.

    Raises:
        DataError: Unreadable, an example has no label, or one of other candidates.
    """
    by_id = {label.id: label for label in read_labels(path)}
    problems = [f"id {example.id!r}: no label" for example in examples if example.id not in by_id]
    if problems:
        raise DataError(join_problems(f"{path}: do not fit the {len(examples)} examples; label this split", problems))
    # By the content of candidates: a file may name them in another order.
    return [reordered(by_id[example.id], example.candidate_ids) for example in examples]


def write_labelled(
    folder: StageFolder,
    stage: str,
    examples: Sequence[Example],
    labels: Iterable[WeakLabel],
    counts: Mapping[str, Any],
    config: Mapping[str, Any],
) -> None:
    """Write the labels of a stage as they are made, then preferences in TRL's form, then the manifest.

    Args:
        folder ([`~w2s_rm.runs.folder.StageFolder`]): The stage's folder, held by this process.
        stage (`str`): Its kind.
        examples (`Sequence[Example]`): What is labelled.
        labels (`Iterable[WeakLabel]`): One for each.
        counts (`Mapping`): What the stage counted besides.
        config (`Mapping`): Its config.
    """
    accuracy = LabelAccuracy()
    remove_unfinished(folder, LABELS_FILE)
    write_labels(folder.path / LABELS_FILE, accuracy.counted(examples, labels))
    _write_pairs(folder, examples)
    # Behind the file: accuracy is counted while its labels go by.
    counts = {**counts, "n_labelled": len(examples), "label_accuracy": accuracy.value}
    folder.finish(stage=stage, counts=counts, config=config)


def _write_pairs(folder: StageFolder, examples: Sequence[Example]) -> None:
    # TRL's preferences are pairs.
    if all(len(example.candidates) != 2 for example in examples):
        return
    # Read back: they went to the file as they were made, and nobody holds them.
    labels = read_labels(folder.path / LABELS_FILE)
    pairs = [(example, label) for example, label in zip(examples, labels, strict=True) if len(example.candidates) == 2]
    rows = to_trl_rows([example for example, _ in pairs], [label for _, label in pairs])
    write_trl_dataset(folder.path / "dataset", rows)


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Return the distribution that the scores stand for."""
    # Taken off all, it changes no share; above 709 `math.exp` raises an error.
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return tuple(weight / sum(weights) for weight in weights)


@dataclass
class LabelAccuracy:
    """Share of labels whose most probable candidate is the right one, counted while labels go by.

    A tie for the most probable counts as its chance of being right.

    Args:
        right (`float`, *optional*, defaults to `0.0`): Right labels so far.
        known (`int`, *optional*, defaults to `0`): Labels so far of examples with ground truth.
    """

    right: float = 0.0
    known: int = 0

    def counted(self, examples: Iterable[Example], labels: Iterable[WeakLabel]) -> Iterator[WeakLabel]:
        """Pass the labels on.

        Args:
            examples (`Iterable[Example]`): What is labelled.
            labels (`Iterable[WeakLabel]`): One for each.
        """
        for example, label in zip(examples, labels, strict=True):
            if example.gold is not None:
                best = best_candidates(label)
                self.right += (example.gold in best) / len(best)
                self.known += 1
            yield label

    @property
    def value(self) -> float | None:
        """The accuracy; `None` without ground truth."""
        return self.right / self.known if self.known else None
