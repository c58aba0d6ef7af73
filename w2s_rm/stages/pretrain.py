"""Pretrain a small language model on a corpus.

python -m w2s_rm.stages.pretrain --config stage.yaml
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.errors import ConfigError, join_problems, nearest
from w2s_rm.modeling import replace_folder
from w2s_rm.pretraining import Pretraining
from w2s_rm.pretraining import pretrain as pretrain_model
from w2s_rm.stages._common import held, quiet_progress, read_config, refuse_finished, run_main

CHECKPOINT = "checkpoint.pt"


def pretrain(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`, and while it runs `checkpoint.pt`, from which an interrupted run goes on.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        ConfigError: The options are wrong, or the folder holds a checkpoint of others.
    """
    config, output = read_config(argv)
    on_terminal = sys.stderr.isatty()
    if not on_terminal:
        quiet_progress()
        _log_progress()
    options = _options(config)
    with held(output) as folder:
        refuse_finished(folder)
        folder.remove("model.tmp", "model")
        figures = pretrain_model(options, output / "model.tmp", checkpoint=output / CHECKPOINT, progress=on_terminal)
        replace_folder(output / "model.tmp", output / "model")
        folder.finish(stage="pretrain", counts=figures, config={**config, "seed": options.seed})
        folder.remove(CHECKPOINT)


def _options(config: Mapping[str, Any]) -> Pretraining:
    given, known = config.get("pretrain"), [option.name for option in dataclasses.fields(Pretraining)]
    if not isinstance(given, dict):
        raise ConfigError("the stage config has no mapping `pretrain`; `w2s-rm run` writes one into the stage folder")
    problems = [f"{name!r}; {nearest(str(name), known)}" for name in given if name not in known]
    if problems:
        raise ConfigError(join_problems("pretrain has options that do not exist:", problems))
    return Pretraining(**given)


def _log_progress() -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("w2s_rm").setLevel(logging.INFO)


if __name__ == "__main__":
    run_main(pretrain)
