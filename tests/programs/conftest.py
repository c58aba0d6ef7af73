"""A scoring stage's config around a tiny model, and examples for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_helpers import WORDS

from w2s_rm.data.examples import write_examples
from w2s_rm.types import Example


@pytest.fixture
def ragged_examples() -> Callable[..., list[Example]]:
    """Make examples with 2 or more candidates of different lengths; every fifth has no ground truth."""

    def make(count: int, most_candidates: int = 5) -> list[Example]:
        generator = random.Random(0)
        examples = []
        for number in range(count):
            size = generator.randint(2, most_candidates)
            texts: set[str] = set()
            while len(texts) < size:
                texts.add(" " + " ".join(generator.choices(WORDS, k=generator.randint(1, 9))))
            prompt = " ".join(generator.choices(WORDS, k=generator.randint(1, 30)))
            gold = None if number % 5 == 4 else generator.randrange(size)
            examples.append(Example(f"e{number}", f"g{number}", prompt, tuple(sorted(texts)), gold))
        return examples

    return make


@pytest.fixture
def scoring_stage(tmp_path: Path) -> Callable[..., list[str]]:
    """Write examples and a stage config; return the arguments of the stage."""

    def write(stage: str, model: str, examples: list[Example], name: str = "out", **changes: Any) -> list[str]:
        write_examples(tmp_path / "examples.parquet", examples)
        config = {
            "stage": stage,
            "examples": str(tmp_path / "examples.parquet"),
            "model_name_or_path": model,
            "per_device_eval_batch_size": 3,
            "max_length": 64,
            "bf16": False,
            **changes,
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return ["--config", str(tmp_path / f"{name}.yaml"), "--output_dir", str(tmp_path / name)]

    return write
