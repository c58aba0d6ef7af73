"""Change or select labels, and keep the examples that still have one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm import options
from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.data.label_files import WeakLabel, read_labels
from w2s_rm.errors import DataError
from w2s_rm.labels import Evidence, transform_labels
from w2s_rm.programs.labelling import labels_in_order, write_labelled
from w2s_rm.programs.launched import held, refuse_finished
from w2s_rm.types import Example


def transform(config: Mapping[str, Any], output: Path) -> None:
    """Run the stage: writes `weak_labels.parquet`, `examples.parquet`, and of comparisons `dataset/`.

    Args:
        config (`Mapping`): The stage's config.
        output (`Path`): Its folder.

    Raises:
        ConfigError: A transform does not fit the task.
        DataError: Labels that do not fit the examples, or too few are left.
    """
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        labels = labels_in_order(config["labels"], examples)
        transforms = [options.build("labels", entry) for entry in config["transforms"]]
        # To count with; what transforms may look at is the evidence, without the ground truth of these examples.
        truth = {example.id: example.gold for example in examples if example.gold is not None}
        made, counts = transform_labels(labels, transforms, _evidence(config, examples), truth)
        if len(made) < config.get("at_least", 1):
            raise DataError(
                f"{len(made)} of {len(labels)} labels are left after {', '.join(count.name for count in counts)}, "
                f"fewer than a batch of {config['at_least']}; keep more of them, or make the batch smaller"
            )
        by_id = {label.id: label for label in made}
        # In the examples' order, whatever that of the labels is; `write_labelled` joins the two by their place.
        kept = [example for example in examples if example.id in by_id]
        write_examples(output / "examples.parquet", kept)
        each = {"transforms": [dataclasses.asdict(count) for count in counts], "n_given": len(labels)}
        write_labelled(folder, "transform", kept, [by_id[example.id] for example in kept], each, config)


def _evidence(config: Mapping[str, Any], labelled: Sequence[Example]) -> Evidence:
    validation: list[tuple[WeakLabel, int]] = []
    if "validation" in config:
        examples = read_examples(Path(config["validation_examples"]))
        labels = labels_in_order(config["validation"], examples)
        pairs = zip(labels, examples, strict=True)
        validation = [(label, example.gold) for label, example in pairs if example.gold is not None]
    # By id and not in order: the second supervisor may have labelled others as well.
    other = {label.id: label for label in read_labels(config["other"])} if "other" in config else {}
    classes = config.get("classes")
    places = {example.id: example.step for example in labelled if example.step is not None}
    return Evidence(validation, other, None if classes is None else tuple(classes), config["seed"], places)
