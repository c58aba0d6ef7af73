"""Two ways to run a stage: in this process, or by its own `accelerate launch`."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys

from w2s_rm.errors import StageError
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.processes import LAUNCHED_VARIABLE, die_with_parent
from w2s_rm.stages import Stage

logger = logging.getLogger(__name__)


def run_inline(stage: Stage) -> None:
    """Run a stage in this process and free its model afterwards.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run; its config is written already.
    """
    try:
        stage.run(stage.arguments())
    finally:
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


def run_accelerate(stage: Stage) -> None:
    """Run a stage as a program of its own, on all processes that its accelerate config names.

    Args:
        stage ([`~w2s_rm.stages.Stage`]): What to run; its config is written already.

    Raises:
        StageError: The program failed; its own message stands above.
    """
    if not stage.loads_model:
        run_inline(stage)
        return
    environment = {**os.environ, LAUNCHED_VARIABLE: "1"}
    process = subprocess.Popen(stage.command(), env=environment, start_new_session=True, preexec_fn=die_with_parent)
    try:
        code = process.wait()
    except BaseException:
        # Ctrl-C reaches only this process: the stage has its own session.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code != 0 and StageFolder(stage.folder).finished:
        # The manifest comes last: a process that fell over while leaving has lost nothing.
        logger.warning("stage %s is finished, but its launch ended with exit code %d", stage.title, code)
    elif code != 0:
        raise StageError(
            f"stage {stage.title} failed with exit code {code}; its message stands above; rerun it with: "
            + " ".join(stage.command())
        )
