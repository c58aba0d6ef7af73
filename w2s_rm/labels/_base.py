"""What the transforms share: their protocol, what they may look at, checks of labels before and after. No torch.

A transform is pure: what it does to a label depends on ids, contents and the seed, never on the order of the labels,
and it returns those that it keeps in the order in which they came. A transform that changes a distribution leaves the
new log-probabilities as the label's scores, or `None` where a probability is 0; one that only selects changes nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from w2s_rm.data.distributions import best_candidates, shape_problem, value_problem
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.types import Step


@dataclass(frozen=True)
class Evidence:
    """What transforms may look at beside the labels.

    Args:
        validation (`Sequence[tuple[WeakLabel, int]]`, *optional*): The same supervisor's labels of validation examples,
            each with the index of the right candidate in that label's order.
        other (`Mapping[str, WeakLabel]`, *optional*): A second supervisor's labels by example id.
        classes (`tuple[str, ...]`, *optional*): The candidates of every example where these have a fixed meaning;
            `None` for exchangeable ones.
        seed (`int`, *optional*, defaults to `0`): For what is left to chance.
        places (`Mapping[str, Step]`, *optional*): By example id where in a solution an example stands, where the task
            has solutions in steps.
    """

    # A list or mapping has no hash, and that of a frozen dataclass is made of its fields.
    validation: Sequence[tuple[WeakLabel, int]] = field(default=(), hash=False)
    other: Mapping[str, WeakLabel] = field(default_factory=dict, hash=False)
    classes: tuple[str, ...] | None = None
    seed: int = 0
    places: Mapping[str, Step] = field(default_factory=dict, hash=False)


class LabelTransform(Protocol):
    """From labels to labels: a frozen dataclass in `labels/<name>.py` whose fields are its recipe options."""

    @property
    def needs(self) -> frozenset[str]:
        """Which fields of [`Evidence`] have to be given, of `validation`, `other`, `classes` and `places`."""
        ...

    def most_left(self, n: int) -> int:
        """Return how many of so many labels are left at most, as far as is known before there are any.

        Args:
            n (`int`): How many it is given.
        """
        ...

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Refuse a task with these classes where the transform cannot work with them.

        Args:
            classes (`tuple[str, ...]`): The candidates of every example.

        Raises:
            ConfigError: It cannot.
        """
        ...

    def __call__(self, labels: Sequence[WeakLabel], evidence: Evidence) -> list[WeakLabel]:
        """Transform the labels.

        Args:
            labels (`Sequence[WeakLabel]`): At least one, each id once.
            evidence (`Evidence`): What the transform may look at.

        Raises:
            ConfigError: The transform does not fit the task, or what it needs is not there.
            DataError: The labels are none, or hardly any would be left.
        """
        ...


class TransformBase:
    """The part of the `LabelTransform` protocol that is the same for every transform that looks at labels alone."""

    @property
    def needs(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def most_left(self, n: int) -> int:
        """All of them."""
        return n

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Any will do."""


class OfSolutions(TransformBase):
    """The same of a transform that looks at where in a solution of several steps an example stands."""

    @property
    def needs(self) -> frozenset[str]:
        """Where in a solution each example stands."""
        return frozenset({"places"})


def is_number(value: object) -> bool:
    """Whether an option is a finite number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_labels(name: str, labels: Sequence[WeakLabel]) -> None:
    """Refuse what no transform can work with.

    Args:
        name (`str`): Registered name of the transform.
        labels (`Sequence[WeakLabel]`): What it was given.

    Raises:
        DataError: No labels, one id twice, or a label that is no distribution; names all of them.
    """
    if not labels:
        raise DataError(f"labels {name!r}: there are no labels to transform; check the split and the transforms before")
    counts = Counter(label.id for label in labels)
    problems = [f"id {id!r}: {count} labels" for id, count in counts.items() if count > 1]
    problems += [problem for label in labels if (problem := shape_problem(label) or value_problem(label))]
    if problems:
        raise DataError(join_problems(f"labels {name!r}: cannot use these; mend or remove them", problems))


def check_kept(name: str, kept: Sequence[WeakLabel], n_given: int, evidence: Evidence, remedy: str) -> None:
    """Refuse a selection that nothing can be learned from.

    Args:
        name (`str`): Registered name of the transform.
        kept (`Sequence[WeakLabel]`): What it selected.
        n_given (`int`): From how many labels.
        evidence (`Evidence`): Says whether there are classes.
        remedy (`str`): What to do, for the message.

    Raises:
        DataError: Nothing is left, or of fixed classes a single one.
    """
    if not kept:
        raise DataError(f"labels {name!r}: none of {n_given} labels is left; {remedy}")
    # A tie is for several classes at once.
    chosen = {label.candidate_ids[k] for label in kept for k in best_candidates(label)}
    # To say one class always fits such labels. Of exchangeable candidates another one is meant each time.
    if evidence.classes is not None and len(chosen) == 1:
        raise DataError(f"labels {name!r}: the {len(kept)} of {n_given} labels that are left say one class; {remedy}")


def needed_classes(name: str, evidence: Evidence, why: str) -> tuple[str, ...]:
    """Return the classes of the task.

    Args:
        name (`str`): Registered name of the transform.
        evidence (`Evidence`): Where they stand.
        why (`str`): Why there is no answer without, and what to do, for the message.

    Raises:
        ConfigError: The candidates are exchangeable.
    """
    if evidence.classes is None:
        raise ConfigError(f"labels {name!r}: needs a task with fixed classes, and these candidates have none: {why}")
    return evidence.classes


def needed_places(name: str, labels: Sequence[WeakLabel], evidence: Evidence) -> Mapping[str, Step]:
    """Return where in a solution each labelled example stands.

    Args:
        name (`str`): Registered name of the transform.
        labels (`Sequence[WeakLabel]`): What it was given.
        evidence (`Evidence`): Where they stand.

    Raises:
        ConfigError: Some stand in none.
    """
    outside = [label.id for label in labels if label.id not in evidence.places]
    if outside:
        raise ConfigError(
            f"labels {name!r}: needs a task of solutions in steps, and example {outside[0]!r} is no step of one; use a "
            "task of the setting process, or leave the transform out"
        )
    return evidence.places
