"""A weak label as a distribution: its log-probabilities, its best candidates, another order of them. No torch.

Probabilities are what a label says. Scores are kept beside them for what a probability cannot hold: candidates that are
far apart, as whole texts under a language model are, have the probabilities 1 and 0 but finite log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError

SUM_TOLERANCE = 1e-4
"""By how much probabilities may miss 1 in sum, and the softmax of scores the probabilities: files are rounded."""


def shape_problem(label: WeakLabel) -> str | None:
    """Say what is wrong with the candidates of a label, whatever example it belongs to; `None` for nothing.

    Args:
        label (`WeakLabel`): As it was read.
    """
    if len(label.candidate_ids) != len(label.probabilities):
        return f"id {label.id!r}: {len(label.candidate_ids)} candidates, {len(label.probabilities)} probabilities"
    if len(set(label.candidate_ids)) < len(label.candidate_ids):
        return f"id {label.id!r}: a candidate occurs twice"
    return None


def value_problem(label: WeakLabel) -> str | None:
    """Say what is wrong with the probabilities of a label, whatever example it belongs to; `None` for nothing.

    Args:
        label (`WeakLabel`): As it was read.
    """
    # Written this way round, NaN is outside.
    outside = [value for value in label.probabilities if not 0.0 <= value <= 1.0]
    if outside:
        return f"id {label.id!r}: probability {outside[0]} is not in [0, 1]"
    total = sum(label.probabilities)
    if abs(total - 1.0) > SUM_TOLERANCE:
        return f"id {label.id!r}: probabilities sum to {total:.6g}, not 1"
    return None


def best_candidates(label: WeakLabel) -> tuple[int, ...]:
    """Return the indices of the most probable candidates: one, or all that tie exactly.

    Args:
        label (`WeakLabel`): With at least one candidate.
    """
    highest = max(label.probabilities)
    return tuple(k for k, probability in enumerate(label.probabilities) if probability == highest)


def shared_choice(label: WeakLabel) -> dict[str, float]:
    """Return how probably each of the best candidates is chosen when ties are broken by chance, by candidate id.

    Args:
        label (`WeakLabel`): With at least one candidate.
    """
    best = best_candidates(label)
    return {label.candidate_ids[k]: 1 / len(best) for k in best}


def log_softmax(values: Iterable[float]) -> tuple[float, ...]:
    """Return values shifted so that their exponentials sum to 1; minus infinity stays.

    Args:
        values (`Iterable[float]`): At least one of them above minus infinity.
    """
    values = tuple(values)
    # The largest exponential is then 1, and none overflows.
    highest = max(values)
    total = highest + math.log(math.fsum(math.exp(value - highest) for value in values))
    return tuple(value - total for value in values)


def log_probabilities(label: WeakLabel) -> tuple[float, ...]:
    """Return the logarithm of each probability in nats: from the scores where there are any, else `log p`.

    Args:
        label (`WeakLabel`): A distribution; without scores, a probability of 0 gives minus infinity.

    Raises:
        DataError: The label has scores of which the probabilities are not the softmax.
    """
    if label.scores is None:
        # Normalised again, for files are rounded.
        return log_softmax(math.log(p) if p > 0 else -math.inf for p in label.probabilities)
    # Where there are scores a transform reads them alone: were they another label's, it would replace this one unseen.
    if len(label.scores) != len(label.probabilities) or not all(map(math.isfinite, label.scores)):
        raise DataError(_other_scores(label))
    logs = log_softmax(label.scores)
    if any(abs(math.exp(log) - p) > SUM_TOLERANCE for log, p in zip(logs, label.probabilities, strict=True)):
        raise DataError(_other_scores(label))
    return logs


def _other_scores(label: WeakLabel) -> str:
    return f"id {label.id!r}: its probabilities are not the softmax of its scores; leave the scores out of these labels"


def with_log_probabilities(label: WeakLabel, values: Iterable[float]) -> WeakLabel:
    """Return the label with another distribution.

    Its scores are the new log-probabilities, so that what comes next loses nothing, or `None` where one of them is
    minus infinity.

    Args:
        label (`WeakLabel`): Whose id and candidates to keep.
        values (`Iterable[float]`): K log-probabilities up to a constant, in nats; at least one above minus infinity.
    """
    logs = log_softmax(values)
    weights = [math.exp(log) for log in logs]
    # Rounding leaves the exponentials of logarithms a little beside a sum of 1.
    total = math.fsum(weights)
    scores = logs if all(map(math.isfinite, logs)) else None
    return replace(label, probabilities=tuple(weight / total for weight in weights), scores=scores)


def reordered(label: WeakLabel, candidate_ids: Sequence[str]) -> WeakLabel:
    """Return the label with its candidates in another order.

    Args:
        label (`WeakLabel`): In its own order.
        candidate_ids (`Sequence[str]`): The same ids in the order wanted.

    Raises:
        DataError: Other ids.
    """
    index_of = {name: k for k, name in enumerate(label.candidate_ids)}
    if index_of.keys() != set(candidate_ids) or len(index_of) != len(candidate_ids):
        raise DataError(
            f"id {label.id!r}: labels candidates {', '.join(sorted(index_of))} instead of {', '.join(candidate_ids)}"
        )
    order = [index_of[name] for name in candidate_ids]
    scores = None if label.scores is None else tuple(label.scores[k] for k in order)
    return replace(
        label,
        candidate_ids=tuple(candidate_ids),
        probabilities=tuple(label.probabilities[k] for k in order),
        scores=scores,
    )


def label_accuracy(labels: Iterable[WeakLabel], truth: Mapping[str, int]) -> float | None:
    """Return the share of labels whose most probable candidate is the right one; a tie counts as its chance.

    Args:
        labels (`Iterable[WeakLabel]`): Labels, with or without known truth.
        truth (`Mapping[str, int]`): Index of the right candidate, in the label's own order, by example id.

    Returns:
        `float` in [0, 1], over the labels in `truth`; `None` where it has none of them.

    Raises:
        DataError: An index that is none of the label's candidates.
    """
    shares = []
    for label in labels:
        if label.id in truth:
            gold, best = checked_gold(label, truth[label.id]), best_candidates(label)
            shares.append((gold in best) / len(best))
    # Exact before it is rounded once, so that the order of the labels changes no digit.
    return math.fsum(shares) / len(shares) if shares else None


def checked_gold(label: WeakLabel, gold: int) -> int:
    """Return the index of the right candidate.

    Args:
        label (`WeakLabel`): A label.
        gold (`int`): Index in its candidates.

    Raises:
        DataError: None of its candidates.
    """
    if not 0 <= gold < len(label.candidate_ids):
        raise DataError(f"id {label.id!r}: candidate {gold} is right, but it has only {len(label.candidate_ids)}")
    return gold
