"""Tables as aligned plain text."""

from __future__ import annotations

from w2s_rm.render.numbers import (
    bracketed,
    percent,
    percent_interval,
    points,
    ratio,
    ratio_interval,
    share,
    share_interval,
)
from w2s_rm.render.plain import aligned


def test_texts_stand_left_and_numbers_right() -> None:
    lines = [("split", "rows", "groups"), ("weak", "1234", "5"), ("validation", "6", "78", "as it is")]
    assert aligned(lines) == (
        "  split       rows  groups\n  weak        1234       5\n  validation     6      78  as it is"
    )


def test_columns_of_text_and_columns_that_are_left_alone() -> None:
    lines = [("task", "method", "PGR [95 %]"), ("b", "naive", "0.5"), ("longer", "x", "–")]
    assert aligned(lines, n_text=2, n_aligned=2, indent="") == (
        "task    method  PGR [95 %]\nb       naive   0.5\nlonger  x       –"
    )


def test_numbers() -> None:
    assert percent_interval(0.775, 0.756, 0.793) == "77.5 [75.6, 79.3]" and percent_interval(None, None, None) == "–"
    assert share(0.1234) == "12.3 %" and share_interval(0.1234, 0.101, 0.1454) == "12.3 % [10.1, 14.5]"
    assert ratio(-0.004) == "0.00" and ratio_interval(None, -0.5) == "[−∞, −0.50]"


def test_points_and_intervals_of_any_number() -> None:
    assert [points(value) for value in (0.123, -0.0001, -0.05)] == ["12.3", "0.0", "−5.0"]
    assert bracketed(percent, 0.5, 0.25, 0.75) == "50.0 [25.0, 75.0]" and bracketed(points, -0.1, None, None) == "−10.0"
