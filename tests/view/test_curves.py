"""Logs that grow, read once, and of long curves so many points that they can be seen."""

from __future__ import annotations

import json
from pathlib import Path

from w2s_rm.view.curves import MEASURES, Log, by_measure


def test_a_log_is_read_on_from_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5, "accuracy": 1}\n{"step": 2, "lo', encoding="utf-8")
    log = Log(path)
    assert log.curves() == {"accuracy": [(1, 1)], "loss": [(1, 0.5)]} == log.curves()
    with path.open("a", encoding="utf-8") as file:
        file.write('ss": 0.25}\n')
    assert log.curves()["loss"] == [(1, 0.5), (2, 0.25)]
    # A stage that goes on from a checkpoint writes what it knows of the steps before, and on.
    path.write_text('{"step": 1, "loss": 0.5, "accuracy": 1}\n', encoding="utf-8")
    assert log.curves()["loss"] == [(1, 0.5)]
    path.write_text("", encoding="utf-8")
    assert log.curves() == {}


def test_what_is_no_number_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        *(
            "[1]",
            '"x"',
            '{"loss": 1}',
            '{"step": "1", "loss": 1}',
            '{"step": true, "loss": 1}',
            '{"step": 1, "loss": "1"}',
        ),
        *(
            '{"step": 2, "loss": NaN}',
            '{"step": 3, "loss": Infinity}',
            '{"step": 4, "loss": null}',
            "",
            "\ufeff",
            '{"step": 5, "loss": 1}',
        ),
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    assert Log(path).curves() == {"loss": [(5, 1)]}


def test_long_curves_are_thinned_and_keep_their_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": n, "loss": n / 7}) + "\n" for n in range(1001)), encoding="utf-8")
    points = Log(path).curves()["loss"]
    assert 100 <= len(points) <= 200 and points[-1] == (1000, 1000 / 7)
    assert {later[0] - earlier[0] for earlier, later in zip(points, points[1:], strict=False)} == {6}


def test_measures_come_in_their_order() -> None:
    found = by_measure(
        [
            ("a seed 0", "a", {"loss": [(1, 2.0)]}),
            ("b", "b", {}),
            ("a seed 1", "a", {"success": [(1, 1)], "loss": [(2, 1)]}),
        ]
    )
    assert list(found) == ["success", "loss"] == [name for name in MEASURES if name in found]
    assert found["loss"]["lines"] == [
        {"title": "a seed 0", "kind": "a", "points": [(1, 2.0)]},
        {"title": "a seed 1", "kind": "a", "points": [(2, 1)]},
    ]
