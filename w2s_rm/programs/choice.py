"""Choose one of several trainings by what a held-out split says of each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_rm.data.examples import read_examples
from w2s_rm.data.predictions import read_predictions
from w2s_rm.files import replacing
from w2s_rm.metrics.choices import Floats, choices
from w2s_rm.metrics.pairing import aligned
from w2s_rm.metrics.trials import fitted_losses, paired_half_width
from w2s_rm.programs.launched import held, read_config, refuse_finished
from w2s_rm.programs.scoring import remove_unfinished
from w2s_rm.programs.targets import known_accuracy, training_targets
from w2s_rm.report.cards import write_card
from w2s_rm.runs.folder import StageFolder, package_versions
from w2s_rm.runs.hub import push_model
from w2s_rm.types import Example

_ADAPTER = "adapter"


def choice(argv: Sequence[str]) -> None:
    """Run the stage: puts the model that was chosen into its own folder, and keeps how each trial did.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        DataError: Labels or scores are not those of the validation split.
    """
    config, output = read_config(argv)
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        targets = training_targets(examples, config.get("labels"), config["examples"])
        judged = [_judge(Path(scores), examples, targets) for scores in config["scores"]]
        # `min` takes the first of equals.
        chosen = min(range(len(judged)), key=lambda number: judged[number][0]["validation_loss"])
        trained, groups = Path(config["trials"][chosen]), [example.group for example in examples]
        for name in (trained.name, _ADAPTER):
            if (trained.parent / name).exists():
                _take(trained.parent / name, folder)
        counts = {
            # What the training counted comes first: reports and cards read a choice as they read a training.
            **StageFolder(trained.parent).manifest()["counts"],
            "n_validation": len(examples),
            "chosen_by": "labels" if config.get("labels") else "truth",
            "chosen": chosen,
            "trials": [
                {"values": values, **figures, **_beside(losses_B, judged[chosen][1], groups)}
                for values, (figures, losses_B) in zip(config["values"], judged, strict=True)
            ],
        }
        # A linear model is one file, and no folder that has a card.
        if trained.is_dir():
            write_card(output, {"counts": counts, "packages": package_versions()})
        folder.finish(stage="choice", counts=counts, config=config)
        # After the manifest: what the hub refuses is finished all the same, and is not made again.
        if config.get("push_to_hub"):
            push_model(output / trained.name, config)


def _judge(
    file: Path, examples: Sequence[Example], targets: Sequence[Sequence[float]]
) -> tuple[dict[str, Any], Floats]:
    """How a trial does on the validation split, and its loss on each example."""
    scores = aligned(read_predictions(file), [example.id for example in examples], name=str(file)).scores
    losses_B = fitted_losses(scores, targets)
    figures = {
        "validation_loss": float(losses_B.mean()),
        "validation_agreement": float(choices(scores).same_as(choices(targets)).mean()),
        # By the truth, for whoever reads it: it chooses nothing that is chosen by labels.
        "validation_accuracy": known_accuracy(scores, examples),
    }
    return figures, losses_B


def _beside(losses_B: Floats, chosen_B: Floats, groups: Sequence[str]) -> dict[str, float]:
    """How much worse a trial fits than the one that was chosen, with the half-width of the 95 % interval of that."""
    half = paired_half_width(losses_B, chosen_B, groups)
    return {"behind": float(np.mean(losses_B - chosen_B)), "behind_half_width": half}


def _take(source: Path, folder: StageFolder) -> None:
    """Put a trial's file or folder beside the manifest to be, without a second copy on the disk where that can be."""
    remove_unfinished(folder, source.name)
    with replacing(folder.path / source.name) as written:
        if source.is_dir():
            # What is written again later, its card, is another file then: it takes the place of the link.
            shutil.copytree(source, written, copy_function=_link)
        else:
            _link(str(source), str(written))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another disk, or one that knows no links: what cannot be copied either says why.
        shutil.copy2(source, target)
