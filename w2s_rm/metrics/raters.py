"""Agreement of raters who chose one of several categories for each item, and how much of it is more than chance.

Shape suffixes: R raters, N items.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.intervals import Interval, accuracy_interval

Choices = Sequence[Sequence[Hashable]]


def observed_agreement(choices_RN: Choices) -> float:
    """Return the share of pairs of raters that agree on an item, a mean over items.

    Args:
        choices_RN (`Sequence[Sequence[Hashable]]`): N categories of each of R raters, the items in one order.

    Raises:
        DataError: Fewer than two raters, no items, or unequal numbers of them.
    """
    return float(_agreeing(choices_RN).mean())


def observed_interval(choices_RN: Choices, groups: Sequence[str] | None = None) -> Interval:
    """Return [`observed_agreement`] with its 95 % interval over items.

    Args:
        choices_RN (`Sequence[Sequence[Hashable]]`): N categories of each of R raters, the items in one order.
        groups (`Sequence[str]`, *optional*): The group of each item; without, each is one of its own.

    Raises:
        DataError: As in [`observed_agreement`].
    """
    # As one seed: the raters are who they are, and only the items are a sample.
    return accuracy_interval(_agreeing(choices_RN)[None, :], groups)


def cohens_kappa(first_N: Sequence[Hashable], second_N: Sequence[Hashable]) -> float | None:
    """Return `(p - c) / (1 - c)` of two raters: agreement `p`, and `c` what it would be by chance.

    Chance keeps how often each rater chooses each category: `c = Σ_k a_k b_k`. Source: Cohen 1960, "A coefficient of
    agreement for nominal scales" (Educational and Psychological Measurement 20(1), 37-46).

    Args:
        first_N (`Sequence[Hashable]`): The category of each of N items, as one rater chose.
        second_N (`Sequence[Hashable]`): As the other one chose.

    Returns:
        `float`: At most 1; `None` where both always choose the same one category, so that chance explains all.

    Raises:
        DataError: As in [`observed_agreement`].
    """
    agreed, n = observed_agreement((first_N, second_N)), len(first_N)
    first, second = Counter(first_N), Counter(second_N)
    # A category of which the second made no use adds nothing: a `Counter` has 0 of it.
    return _beyond(agreed, sum(first[name] * second[name] for name in first) / n**2)


def fleiss_kappa(choices_RN: Choices) -> float | None:
    """Return the same of several raters, who by chance all choose each category as often as all of them do together.

    `c = Σ_k q_k²`, with `q_k` the share of category `k` among all choices. Source: Fleiss 1971, "Measuring nominal
    scale agreement among many raters" (Psychological Bulletin 76(5), 378-382).

    Args:
        choices_RN (`Sequence[Sequence[Hashable]]`): N categories of each of R raters, the items in one order.

    Returns:
        `float`: At most 1; `None` where all choices are of one category.

    Raises:
        DataError: As in [`observed_agreement`].
    """
    agreed, counts = observed_agreement(choices_RN), Counter(itertools.chain.from_iterable(choices_RN))
    return _beyond(agreed, sum(count**2 for count in counts.values()) / counts.total() ** 2)


def _agreeing(choices_RN: Choices) -> np.ndarray:
    """Share of pairs of raters that agree, of each of the N items."""
    sizes = {len(choices_N) for choices_N in choices_RN}
    if len(choices_RN) < 2 or len(sizes) != 1 or 0 in sizes:
        counts = ", ".join(str(len(choices_N)) for choices_N in choices_RN) or "none"
        raise DataError(f"agreement is of two raters or more on the same items; got choices of {counts} items")
    pairs = list(itertools.combinations(choices_RN, 2))
    agreed_PN = [[a == b for a, b in zip(first_N, second_N, strict=True)] for first_N, second_N in pairs]
    return np.array(agreed_PN, dtype=np.float64).mean(axis=0)


def _beyond(agreed: float, by_chance: float) -> float | None:
    return None if by_chance >= 1 else (agreed - by_chance) / (1 - by_chance)
