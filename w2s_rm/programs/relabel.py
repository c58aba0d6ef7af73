"""Write weak labels for examples: with a model, by features, or from a file of labels that stands in for a model.

Writes `weak_labels.parquet`, as labels are made, then, of comparisons, `dataset/`, a TRL preference dataset in the
supervisor's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import WeakLabel, read_labels
from w2s_rm.data.label_store import join_labels
from w2s_rm.errors import ConfigError
from w2s_rm.programs.labelling import softmax, write_labelled
from w2s_rm.programs.launched import (
    Configured,
    held,
    is_main_process,
    parse_model_stage,
    read_config,
    recorded,
    refuse_finished,
    reporter,
    score_without_zero,
    split_arguments,
)
from w2s_rm.programs.scoring import score_examples, take_all
from w2s_rm.types import Example


def relabel(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.
    """
    config, output, rest = split_arguments(argv)
    if config.get("labels"):
        _from_file(config, output, rest)
    elif config.get("features"):
        _from_features(*read_config(argv))
    else:
        score_without_zero()
        _from_model(argv, kind)


def _from_model(argv: Sequence[str], kind: Configured) -> None:
    stage_args, args, model_args, output = parse_model_stage(argv, kind)
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(stage_args.examples))
        parts, counts = score_examples(stage_args, args, model_args, examples, reporter(output, "batches"))
        if not is_main_process():
            # To score is the work of all ranks, to write that of one.
            take_all(parts)
            return
        # Into the file as they come: no more scores than those of a window are in memory.
        labels = _labels(examples, chain.from_iterable(part.scores for part in parts))
        write_labelled(folder, "relabel", examples, labels, counts, recorded(stage_args, args))


def _from_features(config: dict[str, Any], output: Path) -> None:
    from w2s_rm.programs.probe import score_features

    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        scores, counts = score_features(config["model_name_or_path"], config["features"], examples)
        labels = _labels(examples, scores)
        write_labelled(folder, "relabel", examples, labels, counts, config)


def _labels(examples: Iterable[Example], scores: Iterable[tuple[float, ...]]) -> Iterator[WeakLabel]:
    """The softmax of a model's scores, written as they are made."""
    for example, row in zip(examples, scores, strict=True):
        yield WeakLabel(example.id, example.candidate_ids, softmax(row), row)


def _from_file(config: dict[str, Any], output: Path, rest: list[str]) -> None:
    if rest:
        raise ConfigError(f"unknown arguments for relabelling from a file: {' '.join(rest)}")
    # By hand it may be launched as any labelling is, in several processes: one reads the file.
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
        write_labelled(folder, "relabel", examples, labels, {}, config)
