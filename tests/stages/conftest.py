"""Examples on disk, labels of them, and a way to run a stage as its own program does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.data.examples import write_examples
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.stages import Examples, Labels, Stage
from w2s_rm.types import Example


@pytest.fixture
def examples() -> list[Example]:
    """40 comparisons, two in a group; the right candidate is the first in every second one."""
    return [Example(f"e{n}", f"g{n // 2}", f"prompt {n}", (f" good {n}", f" bad {n}"), n % 2) for n in range(40)]


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[Sequence[Example], str], Examples]:
    """Write examples under a name and refer to them."""

    def write(examples: Sequence[Example], name: str = "relabel") -> Examples:
        path = tmp_path / f"{name}.parquet"
        write_examples(path, examples)
        return Examples(str(path), f"examples:{name}")

    return write


@pytest.fixture
def labelled_by(tmp_path: Path) -> Callable[..., Labels]:
    """Write labels of comparisons, by the probability of each one's first candidate, and refer to them."""

    def write(examples: Sequence[Example], first: Sequence[float], name: str = "labels") -> Labels:
        path = tmp_path / f"{name}.parquet"
        write_labels(path, [WeakLabel(e.id, e.candidate_ids, (p, 1 - p)) for e, p in zip(examples, first, strict=True)])
        return Labels(str(path), f"labels:{name}")

    return write


@pytest.fixture
def run_stage() -> Callable[[Stage], dict[str, Any]]:
    """Write a stage's config, run it, and return what its manifest counts."""

    def run(stage: Stage) -> dict[str, Any]:
        stage.write_config()
        stage.run(stage.arguments())
        counts: dict[str, Any] = json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))["counts"]
        return counts

    return run
