"""Which examples are measured, and how sure a share of them is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from w2s_rm.checks.result import Accuracy
from w2s_rm.types import Example, hash_fraction

_Z = 1.959964
"""The normal distribution's 97.5 % point."""


def labelled(examples: Iterable[Example]) -> list[Example]:
    """Return the examples that have ground truth."""
    return [example for example in examples if example.gold is not None]


def sample(examples: Sequence[Example], most_texts: int, *, per_candidate: bool) -> list[Example]:
    """Return all examples, or so many, drawn by a hash of their ids, that they hold no more texts than wanted.

    Args:
        examples (`Sequence[Example]`): In any order.
        most_texts (`int`): Most texts: candidates, or prompts.
        per_candidate (`bool`): Whether candidates are counted.
    """
    costs = [len(example.candidates) if per_candidate else 1 for example in examples]
    if sum(costs) <= most_texts:
        return list(examples)
    order = sorted(range(len(examples)), key=lambda index: hash_fraction("check", examples[index].id))
    taken: list[Example] = []
    total = 0
    for index in order:
        total += costs[index]
        # At least one, even where it alone has more texts than that.
        if total > most_texts and taken:
            break
        taken.append(examples[index])
    return taken


def accuracy(credits: Iterable[float], detail: str = "") -> Accuracy:
    """Return the mean of credits in [0, 1] with Wilson's score interval (1927), right also for few and for all right.

    Args:
        credits (`Iterable[float]`): One for each example; a tie of t candidates gives 1/t.
        detail (`str`, *optional*): What was chosen on the training splits.
    """
    values = list(credits)
    n = len(values)
    share = math.fsum(values) / n
    # Of credits between 0 and 1, as ties have them, share (1 - share) is the most that they can vary: the interval is
    # then rather too wide.
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Accuracy(share, max(0.0, centre - half), min(1.0, centre + half), detail)
