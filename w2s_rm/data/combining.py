"""Several supervisors' labels of the same examples as one, and how often they differ. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from w2s_rm.data.distributions import (
    log_probabilities,
    reordered,
    shape_problem,
    shared_choice,
    value_problem,
    with_log_probabilities,
)
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError, join_problems, nearest


def combine(rows: Sequence[Sequence[WeakLabel]], how: str) -> list[WeakLabel]:
    """Make one label of what M members say about each example.

    - `mean_log_odds`: `log w_k = 1/M sum_m log w_mk + constant`. The logarithmic opinion pool, whose log-odds are the
      mean of the members' log-odds; a candidate that one member excludes is excluded.
    - `mean_probability`: `w_k = 1/M sum_m w_mk`. The linear opinion pool.
    - `vote`: `w_k` is the share of members whose most probable candidate is k; a member with a tie splits its vote.

    Source: Genest and Zidek 1986, "Combining Probability Distributions" (Statistical Science 1), for both pools.

    Args:
        rows (`Sequence[Sequence[WeakLabel]]`): The labels of each member: the same examples and candidates, in any
            order.
        how (`str`): `"mean_log_odds"`, `"mean_probability"` or `"vote"`.

    Returns:
        `list[WeakLabel]`: In the order of the first member, with its order of candidates. Scores are the
        log-probabilities, or `None` where a probability is 0.

    Raises:
        ConfigError: An unknown way to combine.
        DataError: No members or labels, labels that are no distributions, members that do not label the same, or under
            `mean_log_odds` an example of which every candidate is excluded; names the ids.
    """
    if how not in WAYS:
        raise ConfigError(f"unknown way to combine supervisors {how!r}; {nearest(str(how), WAYS)}")
    return [WAYS[how](labels) for labels in aligned_labels(rows)]


def disagreement(rows: Sequence[Sequence[WeakLabel]]) -> float:
    """Return the share of pairs of members that choose different candidates, averaged over examples, in [0, 1].

    Ties at the top are broken by chance, independently in both, and the share is an expectation.

    Args:
        rows (`Sequence[Sequence[WeakLabel]]`): The labels of each of at least two members, as for [`combine`].

    Raises:
        DataError: Fewer than two members, or they do not label the same.
    """
    if len(rows) < 2:
        raise DataError(f"{len(rows)} supervisors cannot disagree; give at least two")
    aligned = aligned_labels(rows)
    return math.fsum(map(_different, aligned)) / len(aligned)


def aligned_labels(rows: Sequence[Sequence[WeakLabel]]) -> list[tuple[WeakLabel, ...]]:
    """Bring the labels of each example together, in the order of the first member's examples and candidates.

    Args:
        rows (`Sequence[Sequence[WeakLabel]]`): The labels of each member.

    Returns:
        `list[tuple[WeakLabel, ...]]`: For each example a label of each member.

    Raises:
        DataError: No members or labels, labels that are no distributions, or members that do not label the same; names
            members, from 1, and ids.
    """
    if not rows or not any(rows):
        raise DataError("no supervisors to combine, or none of them has labels; give each the same split to label")
    # A label that occurs twice is lost here, and found by the count in `_problems`.
    by_id = [{label.id: label for label in labels} for labels in rows]
    problems = [problem for m in range(len(rows)) for problem in _problems(m + 1, rows[m], by_id[m], by_id[0])]
    if problems:
        raise DataError(
            join_problems(
                "supervisors do not label the same examples and candidates; let them label one split", problems
            )
        )
    return [tuple(reordered(member[first.id], first.candidate_ids) for member in by_id) for first in rows[0]]


def _problems(
    number: int, labels: Sequence[WeakLabel], by_id: Mapping[str, WeakLabel], first: Mapping[str, WeakLabel]
) -> list[str]:
    """What is wrong with one member, in itself and beside the first one."""
    problems = [f"{len(labels) - len(by_id)} ids occur twice"] if len(by_id) < len(labels) else []
    problems += [problem for label in labels if (problem := shape_problem(label) or value_problem(label))]
    problems += [f"id {id!r}: no label" for id in first if id not in by_id]
    problems += [f"id {id!r}: supervisor 1 has no label of it" for id in by_id if id not in first]
    problems += [
        f"id {id!r}: labels {', '.join(by_id[id].candidate_ids)}, supervisor 1 {', '.join(label.candidate_ids)}"
        for id, label in first.items()
        if id in by_id and set(by_id[id].candidate_ids) != set(label.candidate_ids)
    ]
    return [f"supervisor {number}: {problem}" for problem in problems]


def _mean_log_odds(labels: Sequence[WeakLabel]) -> WeakLabel:
    means = [_mean(column) for column in zip(*map(log_probabilities, labels), strict=True)]
    # A mean of logarithms with one of minus infinity is minus infinity: one member can exclude a candidate, and several
    # all of them.
    if max(means) == -math.inf:
        raise DataError(
            f"id {labels[0].id!r}: each of its candidates has probability 0 for some supervisor, which leaves none; "
            "combine by mean_probability or vote"
        )
    return with_log_probabilities(labels[0], means)


def _mean_probability(labels: Sequence[WeakLabel]) -> WeakLabel:
    return _with_probabilities(
        labels[0], [_mean(column) for column in zip(*(x.probabilities for x in labels), strict=True)]
    )


def _vote(labels: Sequence[WeakLabel]) -> WeakLabel:
    # A member with a tie votes for each of its best in part, so that the order of candidates decides nothing.
    votes = [shared_choice(label) for label in labels]
    return _with_probabilities(
        labels[0], [_mean([vote.get(name, 0.0) for vote in votes]) for name in labels[0].candidate_ids]
    )


WAYS: Mapping[str, Callable[[Sequence[WeakLabel]], WeakLabel]] = {
    "mean_log_odds": _mean_log_odds,
    "mean_probability": _mean_probability,
    "vote": _vote,
}
"""How the labels of one example may become one."""


def _with_probabilities(label: WeakLabel, values: Sequence[float]) -> WeakLabel:
    return with_log_probabilities(label, [math.log(value) if value > 0 else -math.inf for value in values])


def _mean(values: Sequence[float]) -> float:
    # Exact before it is rounded once, so that the order of the members changes no digit.
    return math.fsum(values) / len(values)


def _different(labels: Sequence[WeakLabel]) -> float:
    """Share of the pairs of members with different choices."""
    shares = [_differs(first, other) for first, other in combinations(map(shared_choice, labels), 2)]
    return _mean(shares)


def _differs(first: Mapping[str, float], other: Mapping[str, float]) -> float:
    # Less the chance that two independent choices fall on the same candidate.
    return 1.0 - math.fsum(share * other.get(name, 0.0) for name, share in first.items())
