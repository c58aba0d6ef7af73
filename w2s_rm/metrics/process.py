"""Solutions in steps: what a model's judgements of steps say of the whole, and how often that is right.

Each step has the classes wrong and right, in this order. Its margin is the log-odds of right.

Shape suffixes: B steps, C solutions, P problems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import DataError, nearest
from w2s_rm.metrics.choices import Floats, choices
from w2s_rm.types import Step


def margins(scores: Sequence[Sequence[float]], *, probabilities: bool = False) -> Floats:
    """Return the log-odds, of shape `(B,)`, that steps are right.

    Args:
        scores (`Sequence[Sequence[float]]`): Two for each step: of wrong, and of right.
        probabilities (`bool`, *optional*, defaults to `False`): Whether they are probabilities, not logits.

    Raises:
        DataError: Another number of scores.
    """
    if any(len(row) != 2 for row in scores):
        raise DataError("a step has two scores, of wrong and of right; these predictions are of another task")
    scores_B2 = np.asarray(scores, dtype=np.float64).reshape(-1, 2)
    if probabilities:
        # A probability of 0 makes a margin infinite, which all reductions can compare.
        with np.errstate(divide="ignore"):
            scores_B2 = np.log(scores_B2)
    return np.asarray(scores_B2[:, 1] - scores_B2[:, 0])


def first_mistake(margins_T: Floats) -> int:
    """Return the place of the first step that is judged wrong; the number of steps where none is.

    Args:
        margins_T (`ndarray` of shape `(T,)`): Of the steps of a solution, in their order; at 0 both are as likely, and
            nothing is held against the step.

    Raises:
        DataError: A margin is NaN.
    """
    if np.isnan(margins_T).any():
        # It is below nothing, and the step would pass for right.
        raise DataError("the margin of a step is NaN, so that nothing is known of the solution; score it again")
    wrong_T = margins_T < 0
    return int(wrong_T.argmax()) if wrong_T.any() else len(margins_T)


def _product(margins_T: Floats) -> float:
    # log sigmoid(m) = -log(1 + exp(-m)), which `logaddexp` computes without overflow.
    return float(-np.logaddexp(0.0, -margins_T).sum())


REDUCTIONS: Mapping[str, Callable[[Floats], float]] = {
    "minimum": lambda margins_T: float(margins_T.min()),
    "product": _product,
    "first_mistake": lambda margins_T: first_mistake(margins_T) / len(margins_T),
    "last": lambda margins_T: float(margins_T[-1]),
}
"""What the score of a solution is. `minimum`: that of the step which is most likely wrong; `product`: the logarithm of
the probability that all steps are right, were they independent (both Lightman et al. 2023, arXiv 2305.20050, appendix
F); `first_mistake`: the share of its steps before the first one that is judged wrong; `last`: that of its last step, as
a model of outcomes is read."""


def chain_scores(margins_B: Floats, solutions: Sequence[Sequence[int]], reduction: str) -> Floats:
    """Return the score of each solution, of shape `(C,)`: a number to compare solutions of a problem by.

    Args:
        margins_B (`ndarray` of shape `(B,)`): Of all steps.
        solutions (`Sequence[Sequence[int]]`): For each solution the places of its steps in these, in their order.
        reduction (`str`): A name of [`REDUCTIONS`].

    Raises:
        DataError: A solution without steps, an unknown reduction, or a margin that is NaN under `first_mistake`.
    """
    if reduction not in REDUCTIONS:
        raise DataError(f"unknown reduction {reduction!r}; {nearest(reduction, REDUCTIONS)}")
    if not all(len(steps) for steps in solutions):
        raise DataError("a solution has no steps, so it has no score; leave it out")
    reduce = REDUCTIONS[reduction]
    return np.array([reduce(margins_B[np.asarray(steps)]) for steps in solutions], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Solutions:
    """The solutions whose steps were all judged.

    Args:
        steps (`tuple[tuple[int, ...], ...]`): For each solution the places of its steps in what was judged, in order.
        right_C (`ndarray` of shape `(C,)`): Whether each is right; NaN where that is not known.
        problems (`tuple[str, ...]`): The problem of each.
    """

    steps: tuple[tuple[int, ...], ...]
    right_C: Floats
    problems: tuple[str, ...]


def solutions_of(ids: Sequence[str], known: Mapping[str, Step], groups: Sequence[str]) -> Solutions:
    """Put steps together into solutions; those of which a step is missing are left out.

    Args:
        ids (`Sequence[str]`): Example ids of the steps that were judged.
        known (`Mapping[str, Step]`): Where each stands.
        groups (`Sequence[str]`): The problem of each, in the order of `ids`.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, id in enumerate(ids):
        if id in known:
            places[known[id].solution].append(place)
    whole: list[tuple[int, ...]] = []
    # Sorted, so that solutions do not depend on the order in which steps were scored.
    for name in sorted(places):
        steps = sorted(places[name], key=lambda place: known[ids[place]].number)
        numbers = [known[ids[place]].number for place in steps]
        # From the first step to the last, none missing: a part of a solution would look better than it is, for it has
        # fewer steps to fail in.
        if numbers == list(range(len(steps))) and known[ids[steps[-1]]].last:
            whole.append(tuple(steps))
    right = [known[ids[steps[-1]]].right for steps in whole]
    right_C = np.array([np.nan if is_right is None else float(is_right) for is_right in right], dtype=np.float64)
    return Solutions(tuple(whole), right_C, tuple(groups[steps[-1]] for steps in whole))


@dataclass(frozen=True, eq=False)
class Choice:
    """How often the right solution of a problem is chosen.

    Args:
        credits_P (`ndarray` of shape `(P,)`): The probability that the solution with the highest score is right, ties
            broken by chance.
        chance_P (`ndarray` of shape `(P,)`): That of a solution taken by chance.
        problems (`tuple[str, ...]`): The problems.
    """

    credits_P: Floats
    chance_P: Floats
    problems: tuple[str, ...]


def choose(scores_C: Floats, right_C: Floats, problems: Sequence[str]) -> Choice:
    """Choose the solution with the highest score of each problem that has both right and wrong ones.

    Args:
        scores_C (`ndarray` of shape `(C,)`): Of the solutions; minus infinity is allowed.
        right_C (`ndarray` of shape `(C,)`): 1 for right, 0 for wrong, NaN where it is not known.
        problems (`Sequence[str]`): The problem of each.

    Raises:
        DataError: A score is NaN, or there are not as many of one as of the others.
    """
    if not len(scores_C) == len(right_C) == len(problems):
        counts = f"{len(scores_C)} scores, {len(right_C)} truths and {len(problems)} problems"
        raise DataError(f"{counts}; give each solution one of each")
    members: dict[str, list[int]] = defaultdict(list)
    for place, problem in enumerate(problems):
        members[problem].append(place)
    # Between solutions that are all right, or all wrong, there is nothing to choose; NaN is neither.
    usable = {name: of for name in sorted(members) if {0.0, 1.0} == set(right_C[of := members[name]].tolist())}
    if not usable:
        return Choice(np.empty(0), np.empty(0), ())
    chosen = choices([scores_C[of].tolist() for of in usable.values()], list(usable))
    right_F = np.concatenate([right_C[of] for of in usable.values()])
    credits_P = np.add.reduceat(chosen.shares_F * right_F, chosen.starts_B)
    return Choice(credits_P, np.add.reduceat(right_F, chosen.starts_B) / chosen.lengths_B, tuple(usable))


def finds_first_mistake(margins_B: Floats, labels_B: NDArray[np.int64], solutions: Sequence[Sequence[int]]) -> Floats:
    """Say of each solution, shape `(C,)`, whether its first mistake is found: 1 or 0.

    The first step that is judged wrong must be the first one that is; of a solution without a mistake, none.

    Args:
        margins_B (`ndarray` of shape `(B,)`): Of all steps.
        labels_B (`ndarray` of shape `(B,)`): 1 for steps that are right, 0 for those that are wrong.
        solutions (`Sequence[Sequence[int]]`): As in [`chain_scores`].

    Raises:
        DataError: A margin is NaN.
    """
    places = [np.asarray(steps) for steps in solutions]
    # Labels of 0 and 1 become margins below and above 0, so that one rule finds the place in both.
    hits = [first_mistake(margins_B[at]) == first_mistake(labels_B[at] - 0.5) for at in places]
    return np.array(hits, dtype=np.float64)
