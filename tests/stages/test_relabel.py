"""Scores to labels, and how right the labels are."""

from __future__ import annotations

import pytest

from w2s_rm.data.label_files import WeakLabel
from w2s_rm.stages.relabel import label_accuracy, softmax
from w2s_rm.types import Example


def test_softmax_by_hand() -> None:
    # exp(0) = 1 and exp(log 3) = 3: a quarter and three quarters, whatever is added to both.
    assert softmax((1000.0, 1000.0 + 1.0986122886681098)) == pytest.approx((0.25, 0.75))


def test_label_accuracy_by_hand() -> None:
    # Right, wrong, a tie (half), and one without truth that does not count: 1.5 of 3.
    gold = (0, 0, 1, None)
    probabilities = ((0.9, 0.1), (0.2, 0.8), (0.5, 0.5), (0.7, 0.3))
    examples = [Example(str(number), "g", "p", ("x", "y"), index) for number, index in enumerate(gold)]
    labels = [
        WeakLabel(example.id, example.candidate_ids, pair)
        for example, pair in zip(examples, probabilities, strict=True)
    ]
    assert label_accuracy(examples, labels) == 0.5
    assert label_accuracy(examples[3:], labels[3:]) is None
