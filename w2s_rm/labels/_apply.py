"""Transforms one after the other, counted for the manifest. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from w2s_rm.data.distributions import label_accuracy
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.errors import ConfigError
from w2s_rm.labels._base import Evidence, LabelTransform
from w2s_rm.labels.balance import Balance
from w2s_rm.labels.harden import Harden


@dataclass(frozen=True)
class TransformCount:
    """What one transform did.

    Args:
        name (`str`): Its registered name.
        n_before (`int`): Labels that it was given.
        n_after (`int`): Labels that it returned.
        accuracy_before (`float`, *optional*): Share of the labels with known truth that were right before, in [0, 1].
        accuracy_after (`float`, *optional*): The same after it.
    """

    name: str
    n_before: int
    n_after: int
    accuracy_before: float | None = None
    accuracy_after: float | None = None


def transform_labels(
    labels: Sequence[WeakLabel],
    transforms: Sequence[LabelTransform],
    evidence: Evidence,
    truth: Mapping[str, int] | None = None,
) -> tuple[list[WeakLabel], list[TransformCount]]:
    """Apply transforms in their order.

    Args:
        labels (`Sequence[WeakLabel]`): What a supervisor said.
        transforms (`Sequence[LabelTransform]`): Each works on what the one before returned; none leaves labels as they
            are.
        evidence (`Evidence`): What they may look at; the same for all.
        truth (`Mapping[str, int]`, *optional*): Index of the right candidate in the label's own order, by example id,
            where it is known; only to count with.

    Returns:
        `tuple[list[WeakLabel], list[TransformCount]]`: The labels, and one count for each transform.

    Raises:
        ConfigError: A transform does not fit the task, its place in the list, or the evidence.
        DataError: Labels that cannot be used, or hardly any are left.
    """
    # A plan has checked them; who calls this as a function has no plan.
    check_transforms(transforms)
    current, counts = list(labels), []
    # Counted once: what one transform returns is what the next one is given.
    accuracy = label_accuracy(current, truth or {})
    for transform in transforms:
        after = transform(current, evidence)
        accuracy_after = label_accuracy(after, truth or {})
        counts.append(TransformCount(_name(transform), len(current), len(after), accuracy, accuracy_after))
        current, accuracy = after, accuracy_after
    return current, counts


def check_transforms(transforms: Sequence[LabelTransform]) -> None:
    """Check the order of transforms, before there are labels.

    Validation labels are the supervisor's own. What is fitted to them holds for its labels as they are, not for what
    another transform made of them. And no shift moves a label that is hard.

    Args:
        transforms (`Sequence[LabelTransform]`): In the order of the recipe.

    Raises:
        ConfigError: One that is fitted on validation labels stands behind another, or a balance behind hard labels.
    """
    for index, transform in enumerate(transforms):
        if isinstance(transform, Balance) and any(isinstance(before, Harden) for before in transforms[:index]):
            raise ConfigError(
                "labels 'balance': stands behind harden, and no shift of classes changes a hard label; put it before"
            )
        if index and "validation" in transform.needs:
            raise ConfigError(
                f"labels {_name(transform)!r}: is fitted to the supervisor's own labels of the validation split, so it "
                f"has to come first; put it before {_name(transforms[0])!r}"
            )


def _name(transform: LabelTransform) -> str:
    return type(transform).__module__.rpartition(".")[2]
