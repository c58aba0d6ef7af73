"""Labellers at work: `w2s-rm label` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Seconds. A busy machine takes its time to start Python.
PATIENCE = 600


class Label:
    """A running `w2s-rm label`.

    Args:
        arguments: What stands behind `label`.
        cwd: Where it runs.
    """

    def __init__(self, arguments: Sequence[str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "w2s_rm.cli", "label", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.said, place = "", self.process.stdout.fileno()
        while (found := re.search(r"http://\S+ ", self.said)) is None:
            ready, _, _ = select.select([place], [], [], PATIENCE)
            # Not through the stream, which might hold back a line that select then waits for.
            data = os.read(place, 1 << 16).decode() if ready else ""
            assert data, self.process.stderr.read() if ready else "it says nothing"
            self.said += data
        self.address = found[0].strip()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> str:
        """End it as Ctrl-C does, and return what it says then: pytest in the background has children that hear none."""
        self.process.send_signal(signal.SIGTERM)
        said, wrong = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0 and not wrong, wrong
        return said


@pytest.fixture
def label(tmp_path: Path) -> Iterator[Callable[..., Label]]:
    """Start servers in a folder; all are ended."""
    started: list[Label] = []

    def start(*arguments: str) -> Label:
        started.append(Label(arguments, tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    """Comparisons in which the better response says so."""
    rows = [{"id": f"e{n}", "prompt": f"q{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(200)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of judgements."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
