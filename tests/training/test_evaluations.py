"""Where evaluations lie over the steps of a training."""

from __future__ import annotations

import pytest

from w2s_rm.errors import ConfigError, OptionError
from w2s_rm.training.evaluations import SPACINGS, Evaluations


@pytest.mark.parametrize(
    ("count", "spacing", "training_steps", "steps"),
    [
        (4, "even", 100, [0, 25, 50, 75, 100]),
        (3, "even", 10, [0, 4, 7, 10]),
        # 1000 to the power of 1/3, 2/3 and 1.
        (3, "log", 1000, [0, 10, 100, 1000]),
        # 94^(1/6) = 2.1, 2 (94/2)^(1/5) = 4.3, 4 (94/4)^(1/4) = 8.8, 9 (94/9)^(1/3) = 19.7, 20 (94/20)^(1/2) = 43.4.
        (6, "log", 94, [0, 2, 4, 9, 20, 43, 94]),
        # Ratios would have the first ones fall together.
        (6, "log", 8, [0, 1, 2, 3, 4, 6, 8]),
        (1, "log", 7, [0, 7]),
    ],
)
def test_steps_by_hand(count: int, spacing: str, training_steps: int, steps: list[int]) -> None:
    assert Evaluations(count, spacing).steps(training_steps) == steps


@pytest.mark.parametrize("spacing", SPACINGS)
def test_steps_are_different_and_end_at_the_end(spacing: str) -> None:
    for training_steps in range(1, 60):
        for count in range(1, training_steps + 1):
            steps = Evaluations(count, spacing).steps(training_steps)
            assert steps[0] == 0 and steps[-1] == training_steps and len(steps) == count + 1
            assert steps == sorted(set(steps))


def test_more_than_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="evaluations is 5, and the training has 4 steps; use 4 or fewer"):
        Evaluations(5).steps(4)


def test_all_values_out_of_range_are_named() -> None:
    with pytest.raises(OptionError) as caught:
        Evaluations(0, "logg", "best")
    assert set(caught.value.problems) == {"evaluations", "evaluation_spacing", "keep"}
