"""Bring the predictions of several models and seeds onto the same examples, or say why that is impossible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from w2s_rm.errors import DataError, join_problems
from w2s_rm.metrics.accuracy import correctness
from w2s_rm.metrics.choices import Floats, refuse
from w2s_rm.metrics.exact_match import exact_matches
from w2s_rm.types import Predictions

# How many ids a message names of each kind: it may be a whole split that differs.
_FEW = 5


def paired_correctness(models: Mapping[str, Sequence[Predictions]]) -> dict[str, Floats]:
    """Credits of every model on identical examples, ready for paired intervals.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model (weak, student, ceiling) its predictions, one
            for each seed, seeds in the same order for all models. The order of ids may differ.

    Returns:
        `dict[str, ndarray]`: For each model an array of shape `(S, N)`, examples in the order of the first predictions.

    Raises:
        DataError: Unequal numbers of seeds, no seeds, empty or repeated ids, different test ids, different or missing
            gold labels, NaN scores; names the first few ids.
    """
    return _paired(models, lambda predictions: correctness(predictions.scores, predictions.gold, predictions.ids))


def paired_exact_matches(models: Mapping[str, Sequence[Predictions]]) -> dict[str, Floats]:
    """The same as [`paired_correctness`] for what the models write instead of what they score highest.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): As in [`paired_correctness`].

    Returns:
        `dict[str, ndarray]`: For each model an array of shape `(S, N)` of 0 and 1.

    Raises:
        DataError: As in [`paired_correctness`], and predictions without greedy answers, or with one that is no index
            of a candidate.
    """
    return _paired(models, _exact_matches)


def aligned(predictions: Predictions, ids: Sequence[str], *, name: str) -> Predictions:
    """Return the predictions in the order of `ids`.

    Args:
        predictions (`Predictions`): Scores in any order.
        ids (`Sequence[str]`): The wanted order; exactly the ids of the predictions.
        name (`str`): Whose predictions these are, for error messages.

    Raises:
        DataError: Empty or repeated ids, or the two sets of ids differ.
    """
    if not ids:
        raise DataError(f"{name}: no test ids; check that the evaluated split has examples")
    check_same_ids(predictions.ids, ids, name=name)
    if predictions.ids == tuple(ids):
        return predictions
    row_of = {id_: row for row, id_ in enumerate(predictions.ids)}
    return _take(predictions, [row_of[id_] for id_ in ids])


def check_same_ids(scored_ids: Sequence[str], ids: Sequence[str], *, name: str) -> None:
    """Refuse results that are not there once for each test id.

    Args:
        scored_ids (`Sequence[str]`): The ids of the results, in any order.
        ids (`Sequence[str]`): The test ids.
        name (`str`): Whose results these are, for error messages.

    Raises:
        DataError: Repeated, missing or unknown ids; names the first few.
    """
    expected, present = set(ids), set(scored_ids)
    problems = []
    repeated = [id_ for id_, count in Counter(scored_ids).items() if count > 1]
    # Of the test ids as well: a set hides that one stands there twice, and its score would count twice.
    repeated += [id_ for id_, count in Counter(ids).items() if count > 1 and id_ not in repeated]
    if repeated:
        problems.append(f"{len(repeated)} ids occur more than once: {_some(repeated)}")
    if expected - present:
        problems.append(f"{len(expected - present)} test ids are missing: {_some(expected - present)}")
    if present - expected:
        problems.append(f"{len(present - expected)} ids are not in the test set: {_some(present - expected)}")
    if problems:
        raise DataError(join_problems(f"{name}: all models must be scored once on identical test ids:", problems))


def with_gold(predictions: Predictions) -> Predictions:
    """Keep only the examples that have a gold label (possibly none).

    Args:
        predictions (`Predictions`): Scores of one model.
    """
    return _take(predictions, [row for row, index in enumerate(predictions.gold) if index is not None])


def _take(predictions: Predictions, rows: Sequence[int]) -> Predictions:
    return Predictions(
        ids=tuple(predictions.ids[row] for row in rows),
        scores=tuple(predictions.scores[row] for row in rows),
        gold=tuple(predictions.gold[row] for row in rows),
        greedy=None if predictions.greedy is None else tuple(predictions.greedy[row] for row in rows),
        groups=None if predictions.groups is None else tuple(predictions.groups[row] for row in rows),
    )


def _paired(models: Mapping[str, Sequence[Predictions]], credits: Callable[[Predictions], Floats]) -> dict[str, Floats]:
    seeds = {name: len(per_seed) for name, per_seed in models.items()}
    if len(set(seeds.values())) != 1 or 0 in seeds.values():
        listed = ", ".join(f"{name} has {count}" for name, count in seeds.items())
        raise DataError(f"every model needs the same seeds, at least one: {listed}; evaluate the missing ones first")
    # Its order is that of all tables: a column is the same example for every model and seed.
    first = next(iter(models.values()))[0]
    return {
        name: np.stack(
            [
                credits(_like(predictions, first, f"{name} (seed number {index})"))
                for index, predictions in enumerate(per_seed)
            ]
        )
        for name, per_seed in models.items()
    }


def _exact_matches(predictions: Predictions) -> Floats:
    if predictions.greedy is None:
        raise DataError("predictions without greedy answers have no exact match; evaluate with a head that writes them")
    lengths_B = np.array([len(row) for row in predictions.scores])
    # `exact_matches` has no scores, and so cannot tell an index that is too high.
    outside_B = np.array(predictions.greedy, dtype=np.int64) >= lengths_B
    refuse(outside_B, "has a greedy answer that is neither the index of a candidate nor -1", predictions.ids)
    return exact_matches(predictions.greedy, predictions.gold, predictions.ids)


def _like(predictions: Predictions, first: Predictions, name: str) -> Predictions:
    predictions = aligned(predictions, first.ids, name=name)
    both = zip(first.ids, first.gold, predictions.gold, strict=True)
    # Other gold means other data: credits that stand side by side must be for the same answer.
    changed = [id_ for id_, mine, other in both if mine != other]
    if changed:
        raise DataError(f"{name}: gold labels are not those of the first model for {_some(changed)}; evaluate it again")
    return predictions


def _some(ids: Iterable[str]) -> str:
    names = sorted(ids)
    return ", ".join(repr(id_) for id_ in names[:_FEW]) + (", …" if len(names) > _FEW else "")
