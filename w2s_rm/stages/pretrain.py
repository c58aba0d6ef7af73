"""Pretrain a small language model on an embedded world.

python -m w2s_rm.stages.pretrain --config stage.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from w2s_rm.modeling import replace_folder
from w2s_rm.stages._common import held, quiet_progress, read_config, refuse_finished, run_main
from w2s_rm.testbed.pretraining import Pretraining
from w2s_rm.testbed.pretraining import pretrain as pretrain_model


def pretrain(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.
    """
    config, output = read_config(argv)
    on_terminal = sys.stderr.isatty()
    if not on_terminal:
        quiet_progress()
    with held(output) as folder:
        refuse_finished(folder)
        folder.remove("model.tmp", "model")
        figures = pretrain_model(Pretraining(**config["pretrain"]), output / "model.tmp", progress=on_terminal)
        replace_folder(output / "model.tmp", output / "model")
        folder.finish(stage="pretrain", counts=figures, config={**config, "seed": config["pretrain"].get("seed")})


if __name__ == "__main__":
    run_main(pretrain)
