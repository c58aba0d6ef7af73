"""Bring the predictions of several models and seeds onto the same examples, or say why that is impossible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from w2s_rm.errors import DataError, join_problems
from w2s_rm.metrics.accuracy import correctness
from w2s_rm.metrics.choices import Floats
from w2s_rm.types import Predictions

_FEW = 5


def paired_correctness(models: Mapping[str, Sequence[Predictions]]) -> dict[str, Floats]:
    """Credits of every model on identical examples, ready for a paired bootstrap.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model (weak, student, ceiling) its predictions, one
            for each seed, seeds in the same order for all models. The order of ids may differ.

    Returns:
        `dict[str, ndarray]`: For each model an array of shape `(S, N)`, examples in the order of the first predictions.

    Raises:
        DataError: Unequal numbers of seeds, no seeds, empty or repeated ids, different test ids, different or missing
            gold labels, NaN scores; names the first few ids.
    """
    seeds = {name: len(per_seed) for name, per_seed in models.items()}
    if len(set(seeds.values())) != 1 or 0 in seeds.values():
        found = ", ".join(f"{name} has {count}" for name, count in seeds.items())
        raise DataError(f"every model needs the same seeds, at least one: {found}; evaluate the missing ones first")
    first = next(iter(models.values()))[0]
    return {
        name: np.stack([_correct_on(one, first, f"{name} (seed number {index})") for index, one in enumerate(per_seed)])
        for name, per_seed in models.items()
    }


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
    _same_ids(predictions, ids, name)
    if predictions.ids == tuple(ids):
        return predictions
    row_of = {id_: row for row, id_ in enumerate(predictions.ids)}
    rows = [row_of[id_] for id_ in ids]
    return Predictions(
        ids=tuple(ids),
        scores=tuple(predictions.scores[row] for row in rows),
        gold=tuple(predictions.gold[row] for row in rows),
    )


def with_gold(predictions: Predictions) -> Predictions:
    """Keep only the examples that have a gold label (possibly none).

    Args:
        predictions (`Predictions`): Scores of one model.
    """
    rows = [row for row, index in enumerate(predictions.gold) if index is not None]
    return Predictions(
        ids=tuple(predictions.ids[row] for row in rows),
        scores=tuple(predictions.scores[row] for row in rows),
        gold=tuple(predictions.gold[row] for row in rows),
    )


def _correct_on(predictions: Predictions, first: Predictions, name: str) -> Floats:
    predictions = aligned(predictions, first.ids, name=name)
    both = zip(first.ids, first.gold, predictions.gold, strict=True)
    changed = [id_ for id_, mine, other in both if mine != other]
    if changed:
        raise DataError(f"{name}: gold labels are not those of the first model for {_some(changed)}; evaluate it again")
    return correctness(predictions.scores, predictions.gold, predictions.ids)


def _same_ids(predictions: Predictions, ids: Sequence[str], name: str) -> None:
    wanted, present = set(ids), set(predictions.ids)
    problems = []
    repeated = [id_ for id_, count in Counter(predictions.ids).items() if count > 1]
    repeated += [id_ for id_, count in Counter(ids).items() if count > 1 and id_ not in repeated]
    if repeated:
        problems.append(f"{len(repeated)} ids occur more than once: {_some(repeated)}")
    if wanted - present:
        problems.append(f"{len(wanted - present)} test ids are missing: {_some(wanted - present)}")
    if present - wanted:
        problems.append(f"{len(present - wanted)} ids are not in the test set: {_some(present - wanted)}")
    if problems:
        raise DataError(join_problems(f"{name}: all models must be scored once on identical test ids:", problems))


def _some(ids: Iterable[str]) -> str:
    names = sorted(ids)
    return ", ".join(repr(id_) for id_ in names[:_FEW]) + (", …" if len(names) > _FEW else "")
