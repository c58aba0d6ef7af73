"""The `evaluate` forms: offline, in batches and combined, the same numbers as the functions."""

import math
from pathlib import Path

import evaluate
import pytest

from w2s_rm.metrics.modules import Accuracy, Agreement, Calibration, ExactMatch, PerformanceGapRecovered


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_accuracy_compute_and_add_batch(tmp_path: Path) -> None:
    metric = Accuracy(cache_dir=str(tmp_path))
    assert metric.compute(predictions=[[1.0, 2.0], [0.0, 0.0, 1.0], [1.0, 1.0]], references=[1, 0, 0]) == {
        "accuracy": 0.5
    }
    metric.add_batch(predictions=[[1.0, 2.0]], references=[1])
    metric.add_batch(predictions=[[0.0, 0.0, 1.0], [1.0, 1.0], [3.0, 1.0]], references=[0, 0, 1])
    assert metric.compute() == {"accuracy": 1.5 / 4}


def test_accuracy_combines(tmp_path: Path) -> None:
    both = evaluate.combine([Accuracy(cache_dir=str(tmp_path / "a")), Accuracy(cache_dir=str(tmp_path / "b"))], True)
    both.add_batch(predictions=[[1.0, 2.0], [2.0, 1.0]], references=[1, 1])
    assert sorted(both.compute().values()) == [0.5, 0.5]


def test_exact_match(tmp_path: Path) -> None:
    result = ExactMatch(cache_dir=str(tmp_path)).compute(predictions=[2, -1, 0, 1], references=[2, 0, 1, 1])
    assert result == {"exact_match": 0.5, "no_candidate": 0.25}


def test_agreement(tmp_path: Path) -> None:
    result = Agreement(cache_dir=str(tmp_path)).compute(
        predictions=[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
        supervisor=[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]],
        references=[0, 0, 0],
    )
    assert result == {"agreement": pytest.approx(2 / 3), "agreement_when_right": 1.0, "agreement_when_wrong": 0.5}


def test_calibration(tmp_path: Path) -> None:
    result = Calibration(cache_dir=str(tmp_path)).compute(
        predictions=[[math.log(3), 0.0], [0.0, 0.0]], references=[0, 1]
    )
    # Says 3/4 and is right; says 1/2, which is a tie.
    assert result == {
        "negative_log_likelihood": pytest.approx((math.log(4 / 3) + math.log(2)) / 2),
        "brier_score": pytest.approx((0.125 + 0.5) / 2),
        "expected_calibration_error": pytest.approx(0.25 / 2),
    }


def test_pgr_groups_rows_by_seed(tmp_path: Path) -> None:
    right, wrong = [0.0, 1.0], [1.0, 0.0]
    result = PerformanceGapRecovered(cache_dir=str(tmp_path)).compute(
        predictions=[right, wrong, wrong, wrong],
        weak=[wrong] * 4,
        ceiling=[right] * 4,
        references=[1] * 4,
        ids=["a", "b", "b", "a"],
        seeds=[0, 0, 1, 1],
    )
    # Of two examples nothing is reliable.
    assert (result["pgr"], result["gap"], result["reliable"]) == (0.25, 1.0, False)
    assert (result["n_examples"], result["n_seeds"]) == (2, 2)
