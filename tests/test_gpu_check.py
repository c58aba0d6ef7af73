"""The check of a GPU: its table, and in small that each part works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_check

ROOT = Path(__file__).resolve().parents[1]


def test_a_row_says_what_was_measured_or_why_not() -> None:
    measured = {"seconds": 0.5, "tokens": 20_000.0, "tflops": 60.0, "memory": 12.34, "difference": "scores 1e-3"}
    assert gpu_check.row("p", measured, 600.0) == "| p | 0.5 | 20,000 | 60 | 10.0% | 12.3 | scores 1e-3 |  |"
    assert gpu_check.row("p", measured, None).split("|")[5].strip() == ""
    failed = gpu_check.row("p", {"failed": "RuntimeError: a|b"}, 600.0)
    assert failed == "| p | | | | | | | failed: RuntimeError: a/b |"
    assert failed.count("|") == gpu_check.row("p", measured, 1.0).count("|") == len(gpu_check._HEADS) + 1


def test_the_rate_counts_weights_outside_of_embeddings() -> None:
    """In 24 layers: queries and outputs of 896 x 896, keys and values of 896 x 128, three matrices of 896 x 4864."""
    weights = 24 * (2 * 896 * 896 + 2 * 896 * 128 + 3 * 896 * 4864)
    sizes = gpu_check.sizes_of("0.5B", small=False)
    assert gpu_check._rate(6, sizes, 1e6)["tflops"] == pytest.approx(6 * weights * 1e6 / 1e12)


def test_a_difference_that_is_no_rounding_is_an_error() -> None:
    assert gpu_check._compared("scores", [0.0, 2.0], [0.0, 2.01], 0.1) == {"difference": "scores 1.0e-02"}
    for other in ([0.0, 2.5], [0.0, float("nan")]):
        with pytest.raises(ArithmeticError, match="scores differ"):
            gpu_check._compared("scores", [0.0, 2.0], other, 0.1)


def test_gradients_are_compared_as_a_whole() -> None:
    """Of a gradient of length 5 one of its numbers may be off by much, the whole by a tenth."""
    assert gpu_check._apart("gradients", [3.0, 4.0], [3.0, 4.4], 0.1) == {"difference": "gradients 8.0e-02"}
    for other in ([3.0, 4.6], [3.0, float("nan")]):
        with pytest.raises(ArithmeticError, match="gradients are apart"):
            gpu_check._apart("gradients", [3.0, 4.0], other, 0.1)


def test_a_part_that_takes_too_long_is_a_row() -> None:
    assert gpu_check.run_part("matmul", True, 0.01) == {"failed": "took more than 0 s"}


@pytest.mark.slow
def test_each_part_works_in_small() -> None:
    """Two that stand for the others: a training with LoRA, and one under DeepSpeed."""
    parts = ["matmul", "scoring, 0.5B", "LoRA, 0.5B", "QLoRA, 0.5B", "ZeRO-2, 0.5B"]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check", "--small", "--only", *parts],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    rows = [line.split("|")[1:] for line in process.stdout.splitlines()[2:]]
    assert [cells[0].strip() for cells in rows] == parts
    assert all(cells[1].strip() for cells in rows if "skipped" not in cells[-2])
