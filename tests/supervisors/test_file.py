"""Labels from a file."""

from __future__ import annotations

from typing import Any


def test_the_file_labels_and_is_judged_without_a_model(bench: Any) -> None:
    path = str(bench.recipe.parent / "labels.jsonl")
    assert bench.added("file", path=path) == ["evaluate weak own", "relabel own"]
    stages = [one for one in bench.own("file", path=path).stages if one.method == "own" and one.of != "student"]
    assert [one.loads_model for one in stages] == [False, False]


def test_it_may_label_other_examples_of_the_task_too(bench: Any) -> None:
    plan = bench.own("file", path=str(bench.recipe.parent / "labels.jsonl"))
    labels = bench.only(plan, of="labels", method="own")
    others = [one.path.rsplit("/", 1)[1] for one in labels.other_examples]
    assert others == ["weak.parquet", "validation.parquet", "test.parquet", "unused.parquet"]


def test_its_content_counts_and_its_place_does_not(bench: Any) -> None:
    path = bench.recipe.parent / "labels.jsonl"
    moved = path.rename(path.with_name("moved.jsonl"))
    moved.with_name("labels.jsonl").write_bytes(moved.read_bytes())
    assert bench.changed("file", {"path": str(path)}, {"path": str(moved)}) == set()
    moved.write_text(moved.read_text(encoding="utf-8").replace("0.9", "0.8"), encoding="utf-8")
    assert bench.changed("file", {"path": str(path)}, {"path": str(moved)}) == {"relabel", "train", "evaluate"}


def test_a_file_that_is_not_there_is_refused(bench: Any) -> None:
    assert "nowhere.jsonl: no such file or folder" in bench.refused("file", path="nowhere.jsonl")
    assert "path: is missing" in bench.refused("file")
