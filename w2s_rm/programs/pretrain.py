"""Pretrain a small language model on a corpus."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.errors import ConfigError
from w2s_rm.files import put_in_place
from w2s_rm.options import build_options
from w2s_rm.programs.launched import held, quiet_progress, read_config, refuse_finished, shows_progress
from w2s_rm.runs.folder import UNFINISHED
from w2s_rm.runs.progress import Reporter
from w2s_rm.training.language_model import pretrain as pretrain_model
from w2s_rm.training.pretraining import Pretraining

CHECKPOINT = f"{UNFINISHED}/checkpoint"


def pretrain(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`, and while it runs `trainer/checkpoint`, from which an interrupted run goes on.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        ConfigError: The options are wrong, or the folder holds a checkpoint of others.
    """
    config, output = read_config(argv)
    on_terminal = shows_progress()
    if not on_terminal:
        quiet_progress()
    # Where there is no bar, a line every now and then.
    if not sys.stderr.isatty():
        _log_progress()
    options = _pretraining(config)
    with held(output) as folder:
        refuse_finished(folder)
        # Of a try that was stopped; its checkpoint stays.
        folder.remove("model.tmp", "model")
        figures = pretrain_model(
            options,
            output / "model.tmp",
            checkpoint=output / CHECKPOINT,
            progress=on_terminal,
            report=Reporter(output),
        )
        put_in_place(output / "model.tmp", output / "model")
        folder.finish(stage="pretrain", counts=figures, config={**config, "seed": options.seed})
        # After the manifest: whoever is stopped before it can still go on from here.
        folder.remove(UNFINISHED)


def _pretraining(config: Mapping[str, Any]) -> Pretraining:
    options = config.get("pretrain")
    if not isinstance(options, dict):
        raise ConfigError("the stage config has no mapping `pretrain`; `w2s-rm run` writes one into the stage folder")
    pretraining: Pretraining = build_options(Pretraining, options, "pretrain")
    return pretraining


def _log_progress() -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("w2s_rm").setLevel(logging.INFO)
