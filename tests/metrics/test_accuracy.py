"""Accuracy: ties share the credit, rows may be ragged, bad input names its ids."""

import subprocess
import sys

import pytest

from w2s_rm.errors import DataError
from w2s_rm.metrics.accuracy import accuracy, correctness

INF = float("inf")


def test_ragged_rows_and_ties_by_hand() -> None:
    scores = [[1.0, 2.0], [0.0, 0.0, 5.0], [3.0, 3.0], [2.0, 2.0, 2.0, 1.0], [2.0, 2.0, 1.0]]
    gold = [1, 0, 0, 2, 2]
    # alone on top, wrong, one of two, one of three, not on top
    assert correctness(scores, gold).tolist() == pytest.approx([1, 0, 1 / 2, 1 / 3, 0])
    assert accuracy(scores, gold) == pytest.approx((1 + 1 / 2 + 1 / 3) / 5)


def test_a_model_that_scores_everything_alike_is_at_chance() -> None:
    assert accuracy([[0.5, 0.5]] * 4, [0, 0, 0, 1]) == 0.5


def test_minus_infinity_is_a_score() -> None:
    assert accuracy([[-INF, -3.0], [-INF, -INF]], [1, 0]) == 0.75


def test_nan_names_the_id() -> None:
    with pytest.raises(DataError, match=r"1 of 2 .*\n.*'b' has a NaN score"):
        accuracy([[1.0, 2.0], [1.0, float("nan")]], [0, 0], ids=["a", "b"])


def test_nan_without_ids_names_the_row() -> None:
    with pytest.raises(DataError, match="row 1 has a NaN"):
        accuracy([[1.0, 2.0], [float("nan"), 1.0]], [0, 0])


@pytest.mark.parametrize(
    ("scores", "gold", "message"),
    [
        ([], [], "no predictions"),
        ([[1.0]], [0, 1], "1 rows of scores but 2 gold"),
        ([[1.0, 2.0], []], [0, 0], "'y' has no scores"),
        ([[1.0, 2.0], [1.0, 2.0]], [0, None], "'y' has no gold"),
        ([[1.0, 2.0], [1.0, 2.0]], [0, 2], "'y' has a gold label that is not"),
        ([[1.0, 2.0], [1.0, 2.0]], [0, -1], "'y' has a gold label that is not"),
    ],
)
def test_bad_input_is_named(scores: list[list[float]], gold: list[int | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        accuracy(scores, gold, ids=["x", "y"])


def test_at_most_five_ids_are_printed() -> None:
    with pytest.raises(DataError, match="and 4 more") as caught:
        accuracy([[float("nan"), 1.0]] * 9, [0] * 9)
    assert "row 5" not in str(caught.value)


def test_functions_import_without_heavy_packages() -> None:
    program = (
        "import sys, w2s_rm.metrics.accuracy, w2s_rm.metrics.pgr, w2s_rm.metrics.agreement\n"
        "print([name for name in ('torch', 'evaluate', 'datasets', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
