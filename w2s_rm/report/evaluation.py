"""What scores of comparisons say about a model: by subset, by section, beside length alone. No torch.

Shape suffixes: B comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from w2s_rm.checks.shortcuts import length_only
from w2s_rm.checks.text import plain
from w2s_rm.errors import DataError
from w2s_rm.metrics.accuracy import correctness
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.reward_bench import (
    OTHER,
    SECTIONS,
    mean_variances,
    section_of,
    section_weights,
    weighted_interval,
)
from w2s_rm.types import Example, Predictions

_ALL = "all"


@dataclass(frozen=True)
class Part:
    """How a model does on a part of the comparisons. Accuracies are shares in [0, 1].

    Args:
        name (`str`): The subset or section.
        n (`int`): Comparisons.
        n_ties (`int`): Those with a tie at the top; each counts as its chance of being right.
        accuracy (`float`): Weighted as the part is put together.
        low (`float`): Lower end of the 95 % interval.
        high (`float`): Upper end.
        length_only (`float`): Accuracy of always choosing the longest, or the shortest, candidate.
        section (`str`, *optional*): Of a subset, the section it belongs to.
    """

    name: str
    n: int
    n_ties: int
    accuracy: float
    low: float
    high: float
    length_only: float
    section: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """How a model does on a task's comparisons.

    Args:
        overall (`Part`): Every comparison counts the same.
        length_rule (`str`): `longest` or `shortest`: which of the two is right more often over all comparisons.
        score (`Part`, *optional*): Mean over the benchmark's sections; only of RewardBench, where there is any.
        sections (`tuple[Part, ...]`): The benchmark's, then `other` with the subsets that it does not have.
        subsets (`tuple[Part, ...]`): In the order of their first comparison.
    """

    overall: Part
    length_rule: str
    score: Part | None = None
    sections: tuple[Part, ...] = ()
    subsets: tuple[Part, ...] = ()

    @property
    def missing_sections(self) -> tuple[str, ...]:
        """Sections of the benchmark without any comparison; the score is a mean over the others."""
        there = {part.name for part in self.sections}
        # Without any section the subsets are not the benchmark's, and none of it is missed.
        return tuple(section for section in SECTIONS if there and section not in there)

    def record(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**asdict(self), "missing_sections": list(self.missing_sections)}


def judge(
    examples: Sequence[Example], predictions: Predictions, subsets: Sequence[str | None], *, sections: bool
) -> Evaluation:
    """Say how right scores are.

    Args:
        examples (`Sequence[Example]`): Comparisons, all with ground truth.
        predictions ([`~w2s_rm.types.Predictions`]): Their scores, in the same order.
        subsets (`Sequence[str]`): The subset of each; `None` where there is none.
        sections (`bool`): Whether the subsets are RewardBench's, with its sections and score.

    Raises:
        DataError: No comparisons, a NaN score, or an example without ground truth.
    """
    # Subsets and lengths are joined to scores by place.
    if predictions.ids != tuple(example.id for example in examples):
        raise DataError("the predictions are of other examples, or in another order")
    credits_B = correctness(predictions.scores, predictions.gold, predictions.ids)
    ties_B = np.array([row.count(max(row)) > 1 for row in predictions.scores])
    rule, length_B = _length_credits(examples)
    # Comparisons without a subset count in the whole, and are shown as no subset of their own.
    names = [name if name is not None else _ALL for name in subsets]
    rows = {name: np.array([i for i, subset in enumerate(names) if subset == name]) for name in dict.fromkeys(names)}
    measured = _Measured(
        {name: len(index) for name, index in rows.items()},
        {name: int(ties_B[index].sum()) for name, index in rows.items()},
        {name: float(credits_B[index].mean()) for name, index in rows.items()},
        {name: float(length_B[index].mean()) for name, index in rows.items()},
        mean_variances({name: credits_B[index] for name, index in rows.items()}),
    )
    # Each subset by its share of the comparisons: the plain mean over all of them.
    overall = measured.part(_ALL, {name: len(index) / len(names) for name, index in rows.items()})
    subset_parts = [
        measured.part(name, {name: 1.0}, section_of(name) if sections else None) for name in rows if name != _ALL
    ]
    if not sections:
        return Evaluation(overall, rule, subsets=tuple(subset_parts))
    weights = section_weights(measured.sizes)
    parts = [measured.part(section, inside) for section, inside in weights.items()]
    return Evaluation(overall, rule, _score(measured, weights), tuple(parts), tuple(subset_parts))


@dataclass(frozen=True)
class _Measured:
    """What is known of each subset, and what follows for parts put together from them."""

    sizes: Mapping[str, int]
    ties: Mapping[str, int]
    accuracies: Mapping[str, float]
    lengths: Mapping[str, float]
    variances: Mapping[str, float]

    def part(self, name: str, weights: Mapping[str, float], section: str | None = None) -> Part:
        estimate = weighted_interval(self.accuracies, self.variances, self.sizes, weights)
        n, ties = (sum(counts[subset] for subset in weights) for counts in (self.sizes, self.ties))
        return Part(name, n, ties, estimate.value, estimate.low, estimate.high, _sum(self.lengths, weights), section)


def _score(measured: _Measured, weights: Mapping[str, Mapping[str, float]]) -> Part | None:
    # Within a section weights add up to one, so that divided by the number of sections they give the plain mean over
    # these.
    known = [inside for section, inside in weights.items() if section != OTHER]
    if not known:
        return None
    return measured.part("score", {name: weight / len(known) for inside in known for name, weight in inside.items()})


def _sum(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(weight * values[name] for name, weight in weights.items())


def _length_credits(examples: Sequence[Example]) -> tuple[str, Floats]:
    """Follow the rule that is right more often over all comparisons: one rule, as it is one model that it stands by."""
    # Chosen on the very comparisons that it is measured on, and so a little too good: what a model is held against may
    # err to that side.
    rule = length_only(examples, examples, None).detail
    sign = 1 if rule == "longest" else -1
    lengths = [[sign * float(len(plain(text))) for text in example.candidates] for example in examples]
    return rule, correctness(lengths, [example.gold for example in examples])
