"""A recipe gives the same, however it is computed; `benchmarks/invariance.py` has all ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import invariance

ROOT = Path(__file__).resolve().parents[1]


def test_all_ways_have_the_same_global_batch() -> None:
    for name, way in invariance.WAYS.items():
        train = {**invariance.RECIPE["train"], **way.train}
        processes = 1 if way.engine is None or way.card else 2
        batch = train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1) * processes
        assert batch == 32, name


def test_the_largest_difference_is_that_of_all_numbers() -> None:
    assert invariance.difference({"a": (0.0, 1.0), "b": (2.0,)}, {"a": (0.5, 1.0), "b": (1.25,)}) == 0.75
    with pytest.raises(AssertionError):
        invariance.difference({"a": (0.0,)}, {"b": (0.0,)})


@pytest.mark.slow
def test_one_process_gives_the_same_in_every_way() -> None:
    """Two processes under each engine: tests/training/test_two_processes.py, tests/test_end_to_end.py."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.invariance", "--small"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr[-3000:]
    assert len(process.stdout.splitlines()) == 2 + len(invariance.SMALL)
