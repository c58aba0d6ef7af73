"""How wide PGR's interval will be, against intervals of simulated experiments with what is assumed."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_rm.metrics.pgr import pgr
from w2s_rm.metrics.power import ACCURACY, BETWEEN_MODELS, BETWEEN_SEEDS, expected_pgr


def draw(rng: np.random.Generator, n_seeds: int, n_examples: int, gap: float, spread: float) -> list[np.ndarray]:
    """Credits that correlate as assumed: each is from one draw of all models, of its model, or of its seed alone.

    Two credits with one chance of being right that share their draw on a part c of the examples correlate by c.
    """
    uniform_N, origin_N, tables = rng.random(n_examples), rng.random(n_examples), []
    for shift in (-gap / 2, 0.0, gap / 2):
        accuracy_S = ACCURACY + shift + spread * rng.standard_normal((n_seeds, 1))
        own_N, private_SN = rng.random(n_examples), rng.random((n_seeds, n_examples))
        of_model_N = np.where(origin_N < BETWEEN_MODELS, uniform_N, own_N)
        of_seed_SN = np.where(origin_N < BETWEEN_SEEDS, of_model_N, private_SN)
        tables.append((of_seed_SN < accuracy_S).astype(float))
    return tables


def test_simulated_credits_correlate_as_assumed() -> None:
    tables = draw(np.random.default_rng(0), 2, 200_000, 0.0, 0.0)
    correlations = np.corrcoef(np.concatenate(tables))
    assert correlations[0, 1] == pytest.approx(BETWEEN_SEEDS, abs=0.01)
    assert [correlations[0, 2], correlations[1, 5]] == pytest.approx([BETWEEN_MODELS] * 2, abs=0.01)


@pytest.mark.parametrize(
    ("n_seeds", "n_examples", "gap", "spread"),
    [(1, 1_000, 0.1, 0.0), (3, 2_000, 0.1, 0.0), (3, 1_000, 0.2, 0.01), (5, 2_000, 0.1, 0.02)],
)
def test_the_width_is_that_of_simulated_experiments(n_seeds: int, n_examples: int, gap: float, spread: float) -> None:
    rng, widths = np.random.default_rng(1), []
    for _ in range(120):
        found = pgr(*draw(rng, n_seeds, n_examples, gap, spread))
        widths.append(np.inf if found.low is None or found.high is None else found.high - found.low)
    expected = expected_pgr(n_examples, n_seeds, gap=gap, spread=spread)
    assert expected.value == pytest.approx(0.5) and expected.low is not None and expected.high is not None
    assert expected.high - expected.low == pytest.approx(np.median(widths), rel=0.15)


def test_more_examples_seeds_and_gap_tell_more() -> None:
    def width(n_examples: int, n_seeds: int, gap: float, spread: float) -> float:
        found = expected_pgr(n_examples, n_seeds, gap=gap, spread=spread)
        return float("inf") if found.low is None or found.high is None else found.high - found.low

    usual = width(2_000, 3, 0.1, 0.01)
    assert width(4_000, 3, 0.1, 0.01) < usual and width(2_000, 5, 0.1, 0.01) < usual
    assert width(2_000, 3, 0.2, 0.01) < usual < width(2_000, 3, 0.1, 0.02)
    assert width(2_000, 3, 0.02, 0.01) == float("inf") and width(2_000, 3, 0.0, 0.01) == float("inf")
    assert width(2_000, 1, 0.1, 0.05) == width(2_000, 1, 0.1, 0.0)
