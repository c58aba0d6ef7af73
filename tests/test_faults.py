"""The campaign of faults in its short form; `benchmarks/faults.py` has all of it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, Tally, damage, rounds, table

ROOT = Path(__file__).resolve().parents[1]


def test_damage_changes_a_file_in_every_way(tmp_path: Path) -> None:
    rng, seen = random.Random(0), set()
    for _ in range(60):
        (tmp_path / "file").write_bytes(b"content")
        seen.add(damage(tmp_path / "file", rng))
        assert not (tmp_path / "file").exists() or (tmp_path / "file").read_bytes() != b"content"
    assert seen == {"bit flipped", "truncated", "emptied", "gone", "longer"}


def test_a_campaign_has_as_many_kills_as_it_says() -> None:
    for kills in (2, 3, 10, 37, 100):
        assert sum(rounds("kill", kills)) + sum(rounds("kill_ray", kills)) == kills
    assert all(rounds(name, 3) for name in FAULTS)


def test_the_table_counts_what_was_lost_and_wrong() -> None:
    text = table({"clock": Tally(4, 1, 2, ["a"], []), "full_disk": Tally(skipped="only root mounts a small disk")})
    assert "after a kill every file has a time of the years 1980 to 2100 | 4 | 1 | 2 | 1 | 0 |" in text
    assert "| skipped: only root mounts a small disk |" in text


@pytest.mark.slow
def test_kills_and_damage_lose_nothing_and_make_nothing_wrong(tmp_path: Path) -> None:
    """Kills in stages and in the report, and every file of every finished stage damaged."""
    faults = ["kill", "kill_report", "damaged_files", "damaged_rest"]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--small", "--kills", "3", "--folder", tmp_path, "--only", *faults],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    rows = [line for line in process.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(faults) and all(row.endswith("| 0 | 0 |") for row in rows), process.stdout
    damaged = next(row for row in rows if row.startswith("| Every file"))
    tries, found = (int(cell) for cell in damaged.split("|")[2:4])
    assert tries == found > 50
