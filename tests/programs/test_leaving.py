"""How the processes of a launch end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# A thread that has an operator of torch in hand whenever Python ends, as one of gloo's may have.
SCRIPT = """
import atexit, sys, threading
import torch
from w2s_rm.programs.launched import run_main

def work(argv):
    torch.distributed.init_process_group("gloo", init_method=f"file://{argv[0]}", rank=0, world_size=1)
    atexit.register(print, "what is done at exit")
    busy = threading.Event()

    def compute():
        numbers = torch.ones(100)
        while True:
            numbers + numbers
            busy.set()

    threading.Thread(target=compute, daemon=True).start()
    busy.wait()
    threading.Timer(0.2, print, ["what others still do"]).start()

run_main(work)
"""


def test_a_rank_leaves_whatever_its_threads_do(tmp_path: Path) -> None:
    """Where Python were taken apart, the thread would abort the process (pytorch/pytorch#38228)."""
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "store")], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "what others still do\nwhat is done at exit\n"), run.stderr
