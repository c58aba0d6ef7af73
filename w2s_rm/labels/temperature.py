"""Temperature: a supervisor that is too sure, or not sure enough, of what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from w2s_rm.data.distributions import checked_gold, log_probabilities, with_log_probabilities
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import DataError, OptionError, join_problems
from w2s_rm.labels._base import Evidence, TransformBase, check_labels, is_number

_FITTED = "fitted"
# Halving an interval of a float this often leaves nothing of it.
_HALVINGS = 100


@dataclass(frozen=True)
class Temperature(TransformBase):
    """Log-probabilities divided by a temperature, and normalised again.

        w'_k = w_k^(1/T) / sum_j w_j^(1/T)

    Above 1 labels become softer, below 1 harder; the most probable candidate stays. `log w` is the log-softmax of a
    label's scores. A label without scores has nothing but its probabilities, of which `log w` is taken: one that is 0
    stays 0 at every temperature.

    `fitted` takes the `T` that makes the right candidates of the validation split most likely, that is, the minimum of

        -1/V sum_v log w'_{v, gold(v)}

    over `V` labels, which is convex in `1/T`; its derivative, `1/V sum_v (sum_k w'_vk log w_vk - log w_{v, gold(v)})`,
    is set to 0. So it uses the ground truth of that split, one number of it.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (ICML 2017, arXiv 1706.04599), section 4.2,
    temperature scaling, equation 9.

    Args:
        value (`float` or `str`, *optional*, defaults to `"fitted"`): The temperature `T`, above 0, or `"fitted"`.

    Raises:
        OptionError: Neither.
    """

    value: float | str = _FITTED

    def __post_init__(self) -> None:
        if self.value != _FITTED and not (is_number(self.value) and float(self.value) > 0):
            text = f"is {self.value!r}; give a number above 0, or {_FITTED!r} to fit it to the validation split"
            raise OptionError("labels 'temperature'", {"value": text})

    @property
    def needs(self) -> frozenset[str]:
        """`validation`, unless the temperature is given."""
        return frozenset({"validation"}) if self.value == _FITTED else frozenset()

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels; arguments as in [`~w2s_rm.labels.LabelTransform`].

        Raises:
            DataError: No temperature fits: no validation labels with truth, all of them right, or no better than
                chance.
        """
        check_labels("temperature", labels)
        value = fitted_temperature(evidence.validation) if self.value == _FITTED else float(self.value)
        return [with_log_probabilities(x, [log / value for log in log_probabilities(x)]) for x in labels]


def fitted_temperature(validation: Sequence[tuple[WeakLabel, int]]) -> float:
    """Return the temperature at which the right candidates are most likely.

    Args:
        validation (`Sequence[tuple[WeakLabel, int]]`): Labels, each with the index of its right candidate.

    Raises:
        DataError: No labels; one that excludes the right candidate; all are right, so that the likelihood rises up to
            temperature 0; or the labels know no more than chance, so that it rises up to infinity.
    """
    remedy = "give the temperature as a number"
    if not validation:
        raise DataError(
            f"labels 'temperature': no labels of the validation split with ground truth; set n_validation, or {remedy}"
        )
    check_labels("temperature", [label for label, _ in validation])
    logs = [log_probabilities(label) for label, _ in validation]
    golds = [row[checked_gold(label, gold)] for row, (label, gold) in zip(logs, validation, strict=True)]
    excluded = [label.id for (label, _), gold in zip(validation, golds, strict=True) if gold == -math.inf]
    if excluded:
        heading = f"labels 'temperature': probability 0 for the right candidate at every temperature; {remedy}"
        raise DataError(join_problems(heading, [f"id {id!r}" for id in excluded]))
    # A candidate of probability 0 keeps it at every temperature, and 0 times its logarithm would be NaN.
    possible = [[log for log in row if log > -math.inf] for row in logs]
    if all(gold == max(row) for gold, row in zip(golds, possible, strict=True)):
        raise DataError(
            f"labels 'temperature': all {len(golds)} labels of the validation split are right, so that no temperature "
            f"is low enough; take more validation examples, or {remedy}"
        )

    def slope(inverse: float) -> float:
        parts = (_mean_log(row, inverse) - gold for row, gold in zip(possible, golds, strict=True))
        return math.fsum(parts) / len(golds)

    # The slope rises with 1/T: where it is not below 0 at 1/T = 0, it is so nowhere, and no temperature is finite.
    if slope(0.0) >= 0:
        raise DataError(
            f"labels 'temperature': on the validation split ({len(golds)} labels) the supervisor knows no more than "
            f"chance, so that no temperature is high enough; take another supervisor, or {remedy}"
        )
    return 1 / _root(slope)


def _mean_log(logs: Sequence[float], inverse: float) -> float:
    """Mean of `log w` under `w'` at `1/T = inverse`."""
    highest = max(logs)
    weights = [math.exp(inverse * (log - highest)) for log in logs]
    return math.fsum(weight * log for weight, log in zip(weights, logs, strict=True)) / math.fsum(weights)


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function that is below 0 at 0 and above it far out crosses 0."""
    low, high = 0.0, 1.0
    # It ends, for some label is wrong, and the harder labels get, the less likely that makes its right candidate.
    while rising(high) < 0:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    # The end that cannot be 0: its inverse is the temperature.
    return high
