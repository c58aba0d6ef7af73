"""Numbers as text."""

from __future__ import annotations

import pytest

from w2s_rm.render.numbers import duration, points_interval, rate, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (0.4, "0 s"), (54.4, "54 s"), (59.6, "1 min"), (90, "2 min"), (3569, "59 min")),
        *((3571, "1 h"), (3600, "1 h"), (12000, "3 h 20 min"), (86399, "24 h"), (86400, "1 d"), (190800, "2 d 5 h")),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [*((0, "0 B"), (812, "812 B"), (1000, "1 kB"), (1234567, "1.23 MB"), (999_600, "1 MB")), (5e12, "5 TB")],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


def test_rate() -> None:
    assert [rate(value) for value in (0.01234, 5, 56.78, 1234.5)] == ["0.0123", "5", "56.8", "1,234"]


def test_points_in_a_sentence() -> None:
    assert points_interval(0.05, -0.0001, None) == "5.0 points with a 95 % interval from 0.0 to –"
    assert points_interval(-0.05, -0.1, 0.0) == "−5.0 points with a 95 % interval from −10.0 to 0.0"
