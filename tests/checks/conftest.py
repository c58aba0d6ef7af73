"""Made-up tasks with a planted flaw, or none."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from w2s_rm.types import Example

WORDS = [f"word{number}" for number in range(200)]
NO_YES = (" no", " yes")

Splits = dict[str, list[Example]]


def sentence(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


@pytest.fixture(scope="session")
def comparisons() -> Callable[..., Splits]:
    """Make splits of comparisons in which nothing but chance decides, or `longer` or `word` does."""

    def make(n: int = 400, *, longer: bool = False, word: bool = False, most: int = 2, seed: int = 0) -> Splits:
        rng = random.Random(seed)

        def example(split: str, number: int) -> Example:
            k = rng.randint(2, most)
            gold = rng.randrange(k)
            texts = [sentence(rng, rng.randint(5, 15)) for _ in range(k)]
            if longer:
                texts[gold] += " " + sentence(rng, 15)
            if word:
                texts[gold] += " certainly"
            prompt = f"{split} {number} {sentence(rng, 6)}"
            return Example(f"{split}{number}", f"{split}-{number}", prompt, tuple(texts), gold)

        return {split: [example(split, number) for number in range(n)] for split in ("weak", "relabel", "test")}

    return make


@pytest.fixture(scope="session")
def statements() -> Callable[..., Splits]:
    """Make splits of statements to judge; `yes` is the share of the second class."""

    def make(n: int = 400, *, yes: float = 0.5, word: bool = False, length: str = "", seed: int = 0) -> Splits:
        rng = random.Random(seed)

        def example(split: str, number: int) -> Example:
            gold = int(rng.random() < yes)
            count = {"": 10, "right is longer": 10 + 6 * gold, "right is shorter": 16 - 6 * gold}[length]
            text = sentence(rng, rng.randint(count - 3, count + 3)) + (" certainly" if word and gold else "")
            return Example(f"{split}{number}", f"{split}-{number}", text, NO_YES, gold)

        return {split: [example(split, number) for number in range(n)] for split in ("weak", "relabel", "test")}

    return make
