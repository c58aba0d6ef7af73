"""The names of all tests are the same in every process: workers that collect different ones refuse to run any."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import gzip
import pytest

@pytest.mark.parametrize("content", [gzip.compress(b"x"), bytearray(b"y")])
def test_probe(content): ...
"""


def collect(*paths: str, **environment: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_a_parameter_of_bytes_is_named_by_its_argument(pytester: pytest.Pytester) -> None:
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(PROBE)
    items, _ = pytester.inline_genitems()
    assert [item.name for item in items] == ["test_probe[content0]", "test_probe[content1]"]


@pytest.mark.slow
def test_names_depend_on_nothing_but_the_code() -> None:
    """Another second, hash seed, time zone, width, home and number of threads."""
    first = collect(PYTHONHASHSEED="1", TZ="UTC")
    time.sleep(1.1)
    other = {"COLUMNS": "40", "OMP_NUM_THREADS": "3", "FORCE_COLOR": "1", "RANK": "1", "WORLD_SIZE": "2"}
    second = collect(PYTHONHASHSEED="77", TZ="Pacific/Kiritimati", **other)
    assert len(first) > 1000 and first == second
