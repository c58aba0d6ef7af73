"""The throughput benchmark, run for real on a tiny model: what its table must hold whatever the speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chess
import pytest

from benchmarks._sources import draw_positions

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--size", "tiny", "--pairs", "8", "--batch-size", "4", "--positions", "4", "--rounds", "1"]


def run_benchmark(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.throughput", *TINY, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def read_table(text: str) -> list[dict[str, str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("throughput") / "table.md"
    done = run_benchmark("--no-memory", "--output", str(path))
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8").strip() == done.stdout.strip()
    return done.stdout


def test_positions_differ_and_offer_all_legal_moves() -> None:
    positions = draw_positions(4)
    assert len({position.id for position in positions}) == len({position.group for position in positions}) == 4
    for position in positions:
        legal = [f" {move.uci()}" for move in chess.Board(str(position.prompt)).legal_moves]
        assert sorted(legal) == list(position.candidates) and position.gold is not None


@pytest.mark.slow
def test_every_comparison_has_a_row(output: str) -> None:
    rows = [(row["task"], row["variant"], row["compared with"], row["bar"]) for row in read_table(output)]
    theirs, alike = "`trl.RewardTrainer`", "`trl.RewardTrainer`, sorted by length"
    padded, shared = "ours, `padded`", "ours, `shared_prefix`"
    assert rows == [
        ("training", theirs, "", ""),
        ("training", alike, theirs, ""),
        ("training", padded, theirs, ""),
        ("training", shared, theirs, "4; growth at most 0.6"),
        ("training", shared, alike, "1.4"),
        ("relabelling", theirs, "", ""),
        ("relabelling", padded, theirs, ""),
        ("relabelling", shared, theirs, "4"),
        ("chess", padded, "", ""),
        ("chess", shared, padded, "8"),
    ]


@pytest.mark.slow
def test_a_ratio_is_that_of_the_speeds(output: str) -> None:
    """With one round the median of the ratios is the ratio of the medians."""
    speeds: dict[tuple[str, str], float] = {}
    for row in read_table(output):
        speed = speeds[row["task"], row["variant"]] = float(row["pairs or positions per second"].split()[0])
        if row["compared with"]:
            ratio = speed / speeds[row["task"], row["compared with"]]
            assert float(row["ratio"].split()[0]) == pytest.approx(ratio, rel=0.05)


@pytest.mark.slow
def test_tokens_fed_are_those_of_the_layout(output: str) -> None:
    for row in read_table(output):
        fed, useful = float(row["tokens fed"]), float(row["tokens useful"])
        if row["task"] != "chess":
            # Two rows for each pair, of at least the prompt each, against the prompt once and some padding.
            assert fed > 1.5 * useful if "shared" not in row["variant"] else useful <= fed < 1.5 * useful
        else:
            assert fed > 3 * useful if "padded" in row["variant"] else fed < 1.5 * useful


@pytest.mark.slow
def test_variants_score_alike(output: str) -> None:
    differences = [float(row["largest score difference"]) for row in read_table(output) if row["compared with"]]
    assert max(differences) < 1e-5
    # The sums of another layout round differently: exact zeros would mean that both ran the same one.
    assert differences[-1] > 0


@pytest.mark.slow
def test_memory_is_measured_for_each_variant() -> None:
    done = run_benchmark("--only", "chess")
    assert done.returncode == 0, done.stderr
    padded, shared = read_table(done.stdout)
    sizes = [int(row[name].split()[0]) for row in (padded, shared) for name in ("memory growth", "memory peak")]
    assert 0 < sizes[0] < sizes[1] and 0 < sizes[2] < sizes[3]
    assert float(shared["ratio of growth"]) == pytest.approx(sizes[2] / sizes[0], abs=0.05)


@pytest.mark.slow
def test_a_file_of_conversations(tmp_path: Path, pairs: Callable[..., list[dict[str, Any]]]) -> None:
    """Conversations with an implicit prompt; no bars are set for them."""
    path = tmp_path / "talk.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in pairs(12):
            said = [{"role": "user", "content": row["prompt"]}]
            answers = {name: [*said, {"role": "assistant", "content": row[name]}] for name in ("chosen", "rejected")}
            file.write(json.dumps(answers) + "\n")
    done = run_benchmark("--no-memory", "--only", "relabelling", "--data", str(path))
    assert done.returncode == 0, done.stderr
    rows = read_table(done.stdout)
    assert [row["bar"] for row in rows] == [""] * 3
    assert all(float(row["largest score difference"]) < 1e-5 for row in rows[1:])


def test_counts_that_do_not_fill_batches_are_refused() -> None:
    done = run_benchmark("--pairs", "10", "--batch-size", "6")
    assert done.returncode == 2
    assert "--batch-size is 6; use a multiple of 4" in done.stderr
    assert "--pairs is 10; use a multiple of the batch size (6)" in done.stderr
