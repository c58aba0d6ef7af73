"""What examples say to a program that trains on them or judges by them: labels, margins, the truth. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2s_rm.data.label_files import read_labels
from w2s_rm.data.label_store import join_labels
from w2s_rm.errors import DataError
from w2s_rm.metrics.accuracy import accuracy
from w2s_rm.types import Example


def training_margins(examples: Sequence[Example], labels: str | None) -> list[float] | None:
    """Margins for [`to_rows`], which the trainer takes off the first candidate; `None` where there are none.

    Args:
        examples (`Sequence[Example]`): Comparisons, in an order of candidates that knows no truth.
        labels (`str`, *optional*): What is trained on in place of the ground truth, of which margins are a part.
    """
    if labels is not None or all(example.margin is None for example in examples):
        return None
    # The trainer takes a margin off the first candidate: where the second is the better one, it is added.
    signs = [0.0 if example.gold is None else 1.0 - 2.0 * example.gold for example in examples]
    return [sign * (example.margin or 0.0) for sign, example in zip(signs, examples, strict=True)]


def training_targets(examples: Sequence[Example], labels: str | None, source: str) -> list[tuple[float, ...]]:
    """Return what is trained on: a distribution over the candidates of each example.

    Args:
        examples (`Sequence[Example]`): What is trained on.
        labels (`str`, *optional*): File of labels; without it, the ground truth.
        source (`str`): Where the examples are from, for messages.

    Raises:
        DataError: Labels do not fit, or an example has no truth.
    """
    if labels is not None:
        return join_labels(examples, read_labels(Path(labels)), source=labels)
    truths = [example.targets for example in examples]
    unknown = [example.id for example, truth in zip(examples, truths, strict=True) if truth is None]
    if unknown:
        raise DataError(
            f"{source}: {len(unknown)} examples have no ground truth, the first {unknown[:3]}; "
            "training needs it, or a file of labels"
        )
    return [truth for truth in truths if truth is not None]


def known_accuracy(scores: Sequence[Sequence[float]], examples: Sequence[Example]) -> float | None:
    """Return the accuracy on those examples whose right candidate is known; `None` if there are none.

    Args:
        scores (`Sequence[Sequence[float]]`): Of the candidates of each.
        examples (`Sequence[Example]`): All of them.
    """
    known = [(row, example.gold) for row, example in zip(scores, examples, strict=True) if example.gold is not None]
    return accuracy([row for row, _ in known], [gold for _, gold in known]) if known else None
