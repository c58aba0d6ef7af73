"""The figures of a row, each group computed from predictions or credits and named as the row's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from w2s_rm.metrics.agreement import Agreement, agreement, mean_agreement
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.exact_match import no_candidate_share
from w2s_rm.metrics.intervals import Interval, accuracy_interval, difference_interval
from w2s_rm.metrics.pairing import paired_correctness, paired_exact_matches, with_gold
from w2s_rm.metrics.pgr import PGR, pgr
from w2s_rm.roles import JUDGED, STUDENT, TRAINED, WEAK, ZERO_SHOT
from w2s_rm.types import WEAK_VALIDATION, Predictions

BEST = "best"
RULES = (WEAK_VALIDATION, BEST)
"""What would have stopped a student's training: the supervisor's labels of the validation split, and the truth of the
test split, which chooses by what it is measured with."""
Models = Mapping[str, Sequence[Predictions]]
Credits = Mapping[str, Floats]


def credits_of(models: Models) -> dict[str, Floats]:
    """Credits of every model on the examples with ground truth, empty when there are none.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.

    Raises:
        DataError: The models were not scored on identical test examples.
    """
    known = _with_gold(models)
    return paired_correctness(known) if known else {}


def matches_of(models: Models) -> dict[str, Floats]:
    """The same as [`credits_of`] for exact match, of the models that wrote answers for every seed.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.

    Raises:
        DataError: A greedy answer is no index of a candidate.
    """
    known = _with_gold(_written(models))
    return paired_exact_matches(known) if known else {}


def accuracy_fields(credits: Credits) -> dict[str, Any]:
    """`<model>_accuracy` with its interval for every model.

    Args:
        credits (`Mapping[str, ndarray]`): What [`credits_of`] returned.
    """
    return interval_fields({(f"{of}_accuracy", of): credits.get(of) for of in JUDGED})


def pgr_fields(credits: Credits) -> dict[str, Any]:
    """PGR and its gap with their intervals; `None` unless weak, student and ceiling are there.

    Args:
        credits (`Mapping[str, ndarray]`): What [`credits_of`] returned.
    """
    result = _pgr(credits)
    if result is None:
        return dict.fromkeys(("gap", "gap_low", "gap_high", "pgr", "pgr_low", "pgr_high", "reliable"))
    return {
        "gap": result.gap,
        "gap_low": result.gap_low,
        "gap_high": result.gap_high,
        "pgr": result.value,
        "pgr_low": result.low,
        "pgr_high": result.high,
        "reliable": result.reliable,
    }


def stopping_fields(credits: Mapping[str, Credits]) -> dict[str, Any]:
    """Accuracy and PGR of the students that each rule of [`RULES`] would have stopped, with their intervals.

    Args:
        credits (`Mapping[str, Mapping[str, ndarray]]`): By rule what [`credits_of`] returned, with these students.
    """
    fields: dict[str, Any] = {}
    for rule in RULES:
        known = credits.get(rule, {})
        fields |= interval_fields({(f"student_accuracy_{rule}",) * 2: known.get(STUDENT)})
        result = _pgr(known)
        ends = ("value", "low", "high")
        names = (f"pgr_{rule}", f"pgr_{rule}_low", f"pgr_{rule}_high")
        fields |= {name: getattr(result, end) if result else None for name, end in zip(names, ends, strict=True)}
    return fields


def gain_fields(credits: Credits) -> dict[str, Any]:
    """How much better the student is than before its training, with a paired interval.

    Args:
        credits (`Mapping[str, ndarray]`): What [`credits_of`] returned.
    """
    if not {STUDENT, ZERO_SHOT} <= credits.keys():
        return interval_ends("zero_shot_gain", None)
    gain = difference_interval(credits[STUDENT], credits[ZERO_SHOT])
    return interval_ends("zero_shot_gain", gain)


def difference_fields(students: Models, method: str, baseline: str) -> dict[str, Any]:
    """How much better a method's student is than the baseline's, with a paired interval; `None` for the baseline.

    Args:
        students (`Mapping[str, Sequence[Predictions]]`): Of both methods the students' predictions, one for each seed.
        method (`str`): The method.
        baseline (`str`): The method to compare with.

    Raises:
        DataError: The students were not scored on identical test examples.
    """
    credits = {} if method == baseline else credits_of(students)
    found = difference_interval(credits[method], credits[baseline]) if credits else None
    return {**interval_ends("difference", found), "difference_to": baseline if found else None}


def greedy_fields(models: Models) -> dict[str, Any]:
    """Exact match of every model that wrote answers, its share of answers outside the candidates, and the PGR.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.
    """
    matches = matches_of(models)
    result = _pgr(matches)
    written = _written(models)
    return {
        **interval_fields({(f"{of}_exact_match", f"{of}_exact_match"): matches.get(of) for of in JUDGED}),
        **{f"{of}_no_candidate": _no_candidate(written[of]) if of in written else None for of in JUDGED},
        "exact_match_pgr": result.value if result else None,
        "exact_match_pgr_low": result.low if result else None,
        "exact_match_pgr_high": result.high if result else None,
        "exact_match_reliable": result.reliable if result else None,
    }


def agreement_fields(models: Models) -> dict[str, Any]:
    """Agreement of the student with its supervisor, mean over seeds.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.
    """
    mean = Agreement(0.0, None, None)
    if WEAK in models:
        pairs = zip(models[STUDENT], models[WEAK], strict=True)
        mean = mean_agreement([agreement(student, weak) for student, weak in pairs])
    return {
        "agreement": mean.overall if WEAK in models else None,
        "agreement_when_right": mean.when_right,
        "agreement_when_wrong": mean.when_wrong,
    }


def _with_gold(models: Models) -> dict[str, list[Predictions]]:
    """Only the examples with ground truth; no models when there are none."""
    if all(index is None for per_seed in models.values() for predictions in per_seed for index in predictions.gold):
        return {}
    return {of: [with_gold(predictions) for predictions in per_seed] for of, per_seed in models.items()}


def _written(models: Models) -> dict[str, Sequence[Predictions]]:
    return {
        of: per_seed
        for of, per_seed in models.items()
        if all(predictions.greedy is not None for predictions in per_seed)
    }


def _no_candidate(per_seed: Sequence[Predictions]) -> float:
    return float(
        np.mean(
            [
                no_candidate_share(predictions.greedy, predictions.ids)
                for predictions in per_seed
                if predictions.greedy is not None
            ]
        )
    )


def _pgr(credits: Credits) -> PGR | None:
    if not set(TRAINED) <= credits.keys():
        return None
    return pgr(*(credits[of] for of in TRAINED))


def interval_fields(named: Mapping[tuple[str, str], Floats | None]) -> dict[str, Any]:
    """Mean credits with their intervals; `None` where there are no credits.

    Args:
        named (`Mapping[tuple[str, str], ndarray]`): Credits by the name of the value and the start of the names of its
            ends.
    """
    fields: dict[str, Any] = {}
    for (value, ends), credits_SN in named.items():
        fields |= interval_ends(value, None if credits_SN is None else accuracy_interval(credits_SN), ends)
    return fields


def interval_ends(name: str, interval: Interval | None, ends: str | None = None) -> dict[str, Any]:
    """Return an interval as fields: `<name>`, `<ends>_low` and `<ends>_high`; all `None` where there is none.

    Args:
        name (`str`): What is estimated.
        interval ([`~w2s_rm.metrics.intervals.Interval`], *optional*): The estimate.
        ends (`str`, *optional*): Start of the names of its ends, where it is another.
    """
    ends = name if ends is None else ends
    return {
        name: interval.value if interval else None,
        f"{ends}_low": interval.low if interval else None,
        f"{ends}_high": interval.high if interval else None,
    }
