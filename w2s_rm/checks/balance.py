"""How often each class, or each position, is the right one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from w2s_rm.checks.result import Accuracy
from w2s_rm.checks.sampling import accuracy, labelled, sample
from w2s_rm.data.examples import hash_order
from w2s_rm.types import Example

# Each is hashed for its place; of tasks with many candidates a sample tells the share as well.
_MOST_CANDIDATES = 20_000


def chance(examples: Sequence[Example]) -> float:
    """Mean of 1/K.

    Args:
        examples (`Sequence[Example]`): At least one.
    """
    return math.fsum(1 / len(example.candidates) for example in examples) / len(examples)


def class_shares(splits: Mapping[str, Sequence[Example]], classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Share of each class among the examples of each split that have ground truth.

    Args:
        splits (`Mapping[str, Sequence[Example]]`): By name.
        classes (`Sequence[str]`): The candidates of every example, in order.
    """
    shares = {}
    for split, examples in splits.items():
        gold = Counter(example.gold for example in labelled(examples))
        if gold:
            shares[split] = {text: gold[index] / gold.total() for index, text in enumerate(classes)}
    return shares


def majority(train: Sequence[Example], test: Sequence[Example], classes: Sequence[str]) -> Accuracy:
    """Accuracy of always naming the class that is most frequent in training, of equals the first.

    Args:
        train (`Sequence[Example]`): With ground truth, at least one.
        test (`Sequence[Example]`): With ground truth, at least one.
        classes (`Sequence[str]`): The candidates of every example, in order.
    """
    gold = Counter(example.gold for example in train)
    # By training, as a model would know it: in test another class may be the most frequent.
    most = max(range(len(classes)), key=lambda index: gold[index])
    return accuracy([float(example.gold == most) for example in test], classes[most].strip())


def gold_first(test: Sequence[Example]) -> Accuracy:
    """Share of right candidates that stand first in the hashed order in which `prepare` writes them; of many a sample.

    Args:
        test (`Sequence[Example]`): With ground truth, at least one, candidates in any order.
    """
    taken = sample(test, _MOST_CANDIDATES, per_candidate=True)
    return accuracy([float(hash_order(example).gold == 0) for example in taken])
