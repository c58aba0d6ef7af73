"""Write weak labels for comparisons: with a model, or from a file of labels that stands in for one.

    accelerate launch -m w2s_rm.stages.relabel --config stage.yaml

Writes `weak_labels.parquet`, as labels are made, then `dataset/`, a TRL preference dataset in the supervisor's order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import WeakLabel, read_labels, write_labels
from w2s_rm.data.label_store import join_labels, to_trl_rows, write_trl_dataset
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.artifacts import StageFolder
from w2s_rm.stages._common import (
    held,
    is_main_process,
    parse_model_stage,
    refuse_finished,
    run_main,
    score_without_zero,
    split_arguments,
)
from w2s_rm.stages._scoring import remove_unfinished, score_examples, take_all
from w2s_rm.types import Example

_FILE = "weak_labels.parquet"


def relabel(argv: Sequence[str]) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
    """
    config, output, rest = split_arguments(argv)
    if config.get("labels"):
        _from_file(config, output, rest)
    else:
        score_without_zero()
        _from_model(argv)


def _from_model(argv: Sequence[str]) -> None:
    stage_args, args, model_args, output = parse_model_stage(argv)
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(stage_args.examples))
        parts, counts = score_examples(stage_args, args, model_args, examples)
        if not is_main_process():
            take_all(parts)
            return
        scores = chain.from_iterable(part.scores for part in parts)
        labels = (
            WeakLabel(example.id, example.candidate_ids, softmax(row), row)
            for example, row in zip(examples, scores, strict=True)
        )
        config = {"stage_hash": stage_args.stage_hash, "inputs": stage_args.inputs, "seed": args.seed}
        _write(folder, examples, labels, counts, config)


def _from_file(config: dict[str, Any], output: Path, rest: list[str]) -> None:
    if rest:
        raise ConfigError(f"unknown arguments for relabelling from a file: {' '.join(rest)}")
    if not is_main_process():
        return
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        path = Path(config["labels"])
        # One file may label the whole dataset: labels of the other splits are known ids, only not used here.
        others = [example for other in config.get("other_examples", []) for example in read_examples(Path(other))]
        joined = join_labels(examples, read_labels(path), source=str(path), others=others)
        labels = [
            WeakLabel(example.id, example.candidate_ids, tuple(probabilities), None)
            for example, probabilities in zip(examples, joined, strict=True)
        ]
        _write(folder, examples, labels, {}, config)


def _write(
    folder: StageFolder,
    examples: Sequence[Example],
    labels: Iterable[WeakLabel],
    counts: dict[str, Any],
    config: dict[str, Any],
) -> None:
    accuracy = LabelAccuracy()
    remove_unfinished(folder, _FILE)
    write_labels(folder.path / _FILE, accuracy.counted(examples, labels))
    _write_pairs(folder, examples)
    folder.remove("trainer")
    counts = {**counts, "n_labelled": len(examples), "label_accuracy": accuracy.value}
    folder.finish(stage="relabel", counts=counts, config=config)


def _write_pairs(folder: StageFolder, examples: Sequence[Example]) -> None:
    if all(len(example.candidates) != 2 for example in examples):
        return
    labels = read_labels(folder.path / _FILE)
    pairs = [(example, label) for example, label in zip(examples, labels, strict=True) if len(example.candidates) == 2]
    rows = to_trl_rows([example for example, _ in pairs], [label for _, label in pairs])
    write_trl_dataset(folder.path / "dataset", rows)


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Return the distribution that the scores stand for."""
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
                best = [k for k, p in enumerate(label.probabilities) if p == max(label.probabilities)]
                self.right += (example.gold in best) / len(best)
                self.known += 1
            yield label

    @property
    def value(self) -> float | None:
        """The accuracy; `None` without ground truth."""
        return self.right / self.known if self.known else None


if __name__ == "__main__":
    run_main(relabel)
