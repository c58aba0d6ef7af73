"""The figures of a row, each group computed from predictions or credits and named as the row's fields."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_rm.metrics.agreement import Agreement, agreement, mean_agreement
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.exact_match import no_candidate_share
from w2s_rm.metrics.intervals import Interval, Means, accuracy_interval, difference_interval, means_of
from w2s_rm.metrics.pairing import paired_correctness, paired_exact_matches, with_gold
from w2s_rm.metrics.pgr import PGR, pgr_of
from w2s_rm.roles import JUDGED, STUDENT, TRAINED, WEAK, ZERO_SHOT
from w2s_rm.types import WEAK_VALIDATION, Predictions

BEST = "best"
RULES = (WEAK_VALIDATION, BEST)
"""What would have stopped a student's training: the supervisor's labels of the validation split, and the truth of the
test split, which chooses by what it is measured with."""
Models = Mapping[str, Sequence[Predictions]]


@dataclass(frozen=True)
class Credits(Mapping[str, Floats]):
    """Credits in [0, 1] of models on the same examples: for each an array of shape `(S, N)`, a row for each seed.

    Args:
        of (`Mapping[str, ndarray]`, *optional*): By model; empty where there is no ground truth.
        groups (`tuple[str, ...]`, *optional*): The group of each example, where that is known.
    """

    of: Mapping[str, Floats] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None

    def __getitem__(self, model: str) -> Floats:
        return self.of[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    def accuracy(self, model: str) -> Interval | None:
        """Return a model's mean credit with its interval; `None` for a model that is not there."""
        # Over groups, where they are known: examples of one prompt are right or wrong together, and intervals over
        # single ones would be too short.
        return accuracy_interval(self.of[model], self.groups) if model in self.of else None

    def difference(self, model: str, other: str) -> Interval | None:
        """Return how much more credit a model has than another, paired; `None` unless both are there."""
        # Paired and not from two intervals: what is hard for both models takes nothing from their difference.
        both = model in self.of and other in self.of
        return difference_interval(self.of[model], self.of[other], self.groups) if both else None

    def means(self, models: Sequence[str]) -> Means:
        """Return the mean credits of models and the covariance of their errors."""
        return means_of([self.of[model] for model in models], self.groups)

    def only(self, inside_N: NDArray[np.bool_]) -> Credits:
        """Return those of some of the examples."""
        groups = None if self.groups is None else tuple(itertools.compress(self.groups, inside_N))
        return Credits({model: credits_SN[:, inside_N] for model, credits_SN in self.of.items()}, groups)


def credits_of(models: Models) -> Credits:
    """Credits of every model on the examples with ground truth, empty when there are none.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.

    Raises:
        DataError: The models were not scored on identical test examples.
    """
    known = _with_gold(models)
    return Credits(paired_correctness(known), _groups(known)) if known else Credits()


def matches_of(models: Models) -> Credits:
    """The same as [`credits_of`] for exact match, of the models that wrote answers for every seed.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.

    Raises:
        DataError: A greedy answer is no index of a candidate.
    """
    known = _with_gold(_written(models))
    return Credits(paired_exact_matches(known), _groups(known)) if known else Credits()


def _groups(known: Models) -> tuple[str, ...] | None:
    """The groups of the examples, in the order in which paired credits are."""
    # Pairing brings all predictions into the order of these.
    return next(iter(known.values()))[0].groups


def accuracy_fields(credits: Credits) -> dict[str, Any]:
    """`<model>_accuracy` with its interval for every model.

    Args:
        credits ([`Credits`]): What [`credits_of`] returned.
    """
    return interval_fields(credits, {of: (f"{of}_accuracy", of) for of in JUDGED})


def pgr_fields(credits: Credits) -> dict[str, Any]:
    """PGR and its gap with their intervals; `None` unless weak, student and ceiling are there.

    Args:
        credits ([`Credits`]): What [`credits_of`] returned.
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
        credits (`Mapping[str, Credits]`): By rule what [`credits_of`] returned, with these students.
    """
    fields: dict[str, Any] = {}
    for rule in RULES:
        # A rule that says nothing leaves its fields empty: all rows have the same columns.
        known = credits.get(rule, Credits())
        fields |= interval_ends(f"student_accuracy_{rule}", known.accuracy(STUDENT))
        result = _pgr(known)
        # Not `reliable`: a rule stops the student alone, so that the gap is that of the row.
        ends = ("value", "low", "high")
        names = (f"pgr_{rule}", f"pgr_{rule}_low", f"pgr_{rule}_high")
        fields |= {name: getattr(result, end) if result else None for name, end in zip(names, ends, strict=True)}
    return fields


def gain_fields(credits: Credits) -> dict[str, Any]:
    """How much better the student is than before its training, with a paired interval.

    Args:
        credits ([`Credits`]): What [`credits_of`] returned.
    """
    return interval_ends("zero_shot_gain", credits.difference(STUDENT, ZERO_SHOT))


def difference_fields(students: Models, method: str, baseline: str) -> dict[str, Any]:
    """How much better a method's student is than the baseline's, with a paired interval; `None` for the baseline.

    Args:
        students (`Mapping[str, Sequence[Predictions]]`): Of both methods the students' predictions, one for each seed.
        method (`str`): The method.
        baseline (`str`): The method to compare with.

    Raises:
        DataError: The students were not scored on identical test examples.
    """
    difference = None if method == baseline else credits_of(students).difference(method, baseline)
    # An interval is true to Python, also one around a difference of zero.
    return {**interval_ends("difference", difference), "difference_to": baseline if difference else None}


def greedy_fields(models: Models) -> dict[str, Any]:
    """Exact match of every model that wrote answers, its share of answers outside the candidates, and the PGR.

    Args:
        models (`Mapping[str, Sequence[Predictions]]`): For each model its predictions, one for each seed.
    """
    matches = matches_of(models)
    result = _pgr(matches)
    # Of all test examples: whether any candidate is written needs no truth.
    written = _written(models)
    return {
        **interval_fields(matches, {of: (f"{of}_exact_match",) * 2 for of in JUDGED}),
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
    # Stands in where there is no supervisor; its first number is then left out below.
    mean = Agreement(0.0, None, None)
    if WEAK in models:
        # Seed by seed: each student beside the supervisor whose labels it was trained on.
        pairs = zip(models[STUDENT], models[WEAK], strict=True)
        mean = mean_agreement([agreement(student, weak) for student, weak in pairs])
    return {
        "agreement": mean.overall if WEAK in models else None,
        "agreement_when_right": mean.when_right,
        "agreement_when_wrong": mean.when_wrong,
    }


def _with_gold(models: Models) -> dict[str, list[Predictions]]:
    """Only the examples with ground truth; no models when there are none."""
    # To pair predictions of no examples is an error, and a run without truth is none.
    if all(index is None for per_seed in models.values() for predictions in per_seed for index in predictions.gold):
        return {}
    return {of: [with_gold(predictions) for predictions in per_seed] for of, per_seed in models.items()}


def _written(models: Models) -> dict[str, Sequence[Predictions]]:
    return {
        # Who wrote for some seeds alone is left out: a mean over these could not stand beside the means over all.
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
                # For the type checker: whoever asks has looked.
                if predictions.greedy is not None
            ]
        )
    )


def _pgr(credits: Credits) -> PGR | None:
    if not set(TRAINED) <= credits.keys():
        return None
    return pgr_of(credits.means(TRAINED))


def interval_fields(credits: Credits, names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Mean credits with their intervals; `None` for models that are not there.

    Args:
        credits ([`Credits`]): Of models.
        names (`Mapping[str, tuple[str, str]]`): By model the name of the value, and the start of the names of its ends.
    """
    fields: dict[str, Any] = {}
    for of, (value, ends) in names.items():
        fields |= interval_ends(value, credits.accuracy(of), ends)
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
