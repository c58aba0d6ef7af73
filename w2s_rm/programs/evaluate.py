"""Score a held-out split with a saved model, by features, or with a file of labels; keep the scores by example id.

Scores are written to `predictions.parquet` as they are made, in the order of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_store import join_labels, labelled, read_labels
from w2s_rm.data.predictions import write_predictions
from w2s_rm.errors import ConfigError
from w2s_rm.metrics.accuracy import accuracy
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
from w2s_rm.programs.scoring import predictions_of, remove_unfinished, score_examples, take_all

_FILE = "predictions.parquet"


def evaluate(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.
    """
    # What scores stands in the config, and decides how the rest of the command line is read.
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
        remove_unfinished(folder, _FILE)
        write_predictions(folder.path / _FILE, parts)
        folder.finish(stage="evaluate", counts=counts, config=recorded(stage_args, args))


def _from_features(config: dict[str, Any], output: Path) -> None:
    from w2s_rm.programs.probe import score_features

    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        scores, counts = score_features(config["model_name_or_path"], config["features"], examples)
        remove_unfinished(folder, _FILE)
        write_predictions(folder.path / _FILE, [predictions_of(examples, scores)])
        folder.finish(stage="evaluate", counts=counts, config=config)


def _from_file(config: dict[str, Any], output: Path, rest: list[str]) -> None:
    """Take probabilities for scores, of as many examples as the file labels: perhaps none."""
    if rest:
        raise ConfigError(f"unknown arguments for evaluating a file of labels: {' '.join(rest)}")
    # By hand it may be launched as any evaluation is, in several processes: one reads the file.
    if not is_main_process():
        return
    with held(output) as folder:
        refuse_finished(folder)
        examples, path = read_examples(Path(config["examples"])), Path(config["labels"])
        others = [example for other in config.get("other_examples", []) for example in read_examples(Path(other))]
        labels = read_labels(path)
        kept = labelled(examples, labels)
        # One file may label several splits; what it says of the others is no mistake.
        scores = join_labels(kept, labels, source=str(path), others=[*examples, *others])
        made = predictions_of(kept, scores)
        remove_unfinished(folder, _FILE)
        write_predictions(folder.path / _FILE, [made])
        known = [row for row, gold in enumerate(made.gold) if gold is not None]
        counts: dict[str, Any] = {"examples": len(examples), "n_labelled": len(kept), "label_accuracy": None}
        if known:
            counts["label_accuracy"] = accuracy([made.scores[row] for row in known], [made.gold[row] for row in known])
        folder.finish(stage="evaluate", counts=counts, config=config)
