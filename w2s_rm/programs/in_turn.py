"""Run the stages that a run asks for, one after another, in one launch.

accelerate launch --config_file CONFIG -m w2s_rm.programs.in_turn FOLDER

`FOLDER` is the run's: it writes `<n>.json` there, a stage and its arguments, and finds `<n>.done` when all processes
have done it. As long as it may ask, it holds the folder. `{}` ends the launch; so does a stage that fails, as it would
end a launch of its own.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from w2s_rm import catalog
from w2s_rm.errors import StageError
from w2s_rm.programs.launched import is_main_process, run_main
from w2s_rm.runs.folder import is_held
from w2s_rm.runs.processes import die_with_run

_POLL_S = 0.02


def in_turn(argv: Sequence[str]) -> None:
    """Run stages until there is none to come.

    Args:
        argv (`Sequence[str]`): The folder in which they are asked for.
    """
    (folder,) = map(Path, argv)
    started_with = dict(os.environ)
    for number, order in enumerate(_orders(folder)):
        catalog.lookup("stages", order["stage"]).run(order["arguments"])
        # As a new process would begin: scoring under ZeRO-1 and ZeRO-2, for one, leaves DeepSpeed's variable unset.
        os.environ.clear()
        os.environ.update(started_with)
        gc.collect()
        # Above all libraries live on, a million objects: later collections pass them by.
        gc.freeze()
        _wait_for_all()
        if is_main_process():
            (folder / f"{number}.done").touch()


def _orders(folder: Path) -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        path = folder / f"{number}.json"
        while not path.exists():
            # However the run ended: processes that nobody asks for a stage would wait for ever, their output open.
            if not is_held(folder):
                raise StageError(f"{folder}: the run that started this launch is gone")
            time.sleep(_POLL_S)
        order = json.loads(path.read_text(encoding="utf-8"))
        if not order:
            return
        yield order


def _wait_for_all() -> None:
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


if __name__ == "__main__":
    # No stage is known yet, and with it what its package would do.
    die_with_run()
    run_main(in_turn)
