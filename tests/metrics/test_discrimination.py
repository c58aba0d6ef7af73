"""The area under the ROC curve: by counting pairs, and its error against new draws of the examples."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.discrimination import area_under_roc

IDS = [f"e{number:04d}" for number in range(400)]


def drawn(rng: np.random.Generator, n_seeds: int = 1) -> tuple[np.ndarray, np.ndarray]:
    positive_SN = rng.random((n_seeds, len(IDS))) < 0.3
    return np.round(rng.normal(positive_SN * 1.0, 1.0), 1), positive_SN


def test_it_is_the_share_of_pairs_in_the_right_order_with_ties_as_half() -> None:
    scores, positive = np.array([[0.9, 0.4, 0.4, 0.1]]), np.array([[True, False, True, False]])
    # Of 0.9 both are lower; of 0.4 one is lower and one the same: (1 + 1 + 0.5 + 1) / 4.
    assert area_under_roc(scores, positive, IDS[:4]).value == pytest.approx(3.5 / 4)
    scores_SN, positive_SN = drawn(np.random.default_rng(0), n_seeds=2)
    by_pairs = [
        np.mean([(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]])
        for scores, positive in zip(scores_SN, positive_SN, strict=True)
    ]
    found = area_under_roc(scores_SN, positive_SN, IDS)
    assert found.means_S == pytest.approx(by_pairs) and found.value == pytest.approx(np.mean(by_pairs))


def test_its_error_is_that_of_new_examples() -> None:
    rng = np.random.default_rng(1)
    areas = [area_under_roc(*drawn(rng), IDS) for _ in range(400)]
    between = np.std([area.value for area in areas])
    assert np.sqrt(np.mean([area.estimate().variance for area in areas])) == pytest.approx(between, rel=0.1)


def test_examples_that_come_in_groups_count_as_fewer() -> None:
    scores_SN, positive_SN = (np.repeat(values, 2, axis=1)[:, : len(IDS)] for values in drawn(np.random.default_rng(2)))
    alone = area_under_roc(scores_SN, positive_SN, IDS).estimate().variance
    together = area_under_roc(scores_SN, positive_SN, [f"g{place // 2:04d}" for place in range(len(IDS))])
    assert together.estimate().variance == pytest.approx(2 * alone, rel=0.02)


def test_examples_of_one_kind_have_no_area() -> None:
    scores_SN, positive_SN = drawn(np.random.default_rng(3), n_seeds=2)
    with pytest.raises(DataError, match="examples of both kinds"):
        area_under_roc(scores_SN, np.stack([positive_SN[0], np.ones(len(IDS), dtype=bool)]), IDS)
