"""How much better one model is than another on several tasks, each of which counts as much as the others.

Shape suffixes: T tasks, S seeds, N examples of a task.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_rm.errors import DataError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.intervals import Interval, difference_interval


def mean_gain(
    correct_TSN: Sequence[Floats], other_TSN: Sequence[Floats], groups_T: Sequence[Sequence[str] | None] | None = None
) -> Interval:
    """Mean over tasks of the difference of two models' accuracies, with a paired interval over seeds and examples.

        gain = 1/T sum_t (accuracy of the model on t - accuracy of the other on t)

    Both models were trained elsewhere, and the seeds are the same ones on all tasks. The interval is that of
    [`~w2s_rm.metrics.intervals.difference_interval`] over the examples of all tasks, where a credit on task t weighs
    `min_u(N_u) / N_t`, which keeps it in [0, 1], and the result is stretched by `sum_u(N_u) / (T min_u(N_u))`: so the
    mean is that of the tasks, whatever their sizes. Examples are drawn from all tasks together, so that how far the
    tasks' gains lie apart adds to the width, and how far their sizes do.

    Args:
        correct_TSN (`Sequence` of T `ndarray` of shape `(S, N)`): Credits in [0, 1] on each task.
        other_TSN (`Sequence` of T `ndarray` of shape `(S, N)`): The same of the model to compare with.
        groups_T (`Sequence` of T `Sequence[str]`, *optional*): The group of each example on each task, where known.

    Raises:
        DataError: No tasks, different ones or different shapes, or credits outside [0, 1].
    """
    sizes = [credits_SN.shape[1] for credits_SN in correct_TSN]
    if not sizes or sizes != [credits_SN.shape[1] for credits_SN in other_TSN]:
        raise DataError(f"a mean over tasks needs both models on the same ones, at least one: {len(sizes)} given")
    fewest = min(sizes)
    weighted, other = (
        np.concatenate([credits_SN * (fewest / credits_SN.shape[1]) for credits_SN in credits_TSN], axis=1)
        for credits_TSN in (correct_TSN, other_TSN)
    )
    # Groups of two tasks are never one, whatever they are called.
    groups = [
        f"{task} {number if known is None else known[number]}"
        for task, (size, known) in enumerate(zip(sizes, groups_T or [None] * len(sizes), strict=True))
        for number in range(size)
    ]
    pooled, stretch = difference_interval(weighted, other, groups), sum(sizes) / (len(sizes) * fewest)
    # What is stretched may leave the range of differences of accuracies.
    return Interval(pooled.value * stretch, max(pooled.low * stretch, -1.0), min(pooled.high * stretch, 1.0))
