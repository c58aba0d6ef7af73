"""Where boxes of stages stand, by hand."""

from __future__ import annotations

from w2s_rm.view.graph import Box, Entry, lay_out


def test_columns_are_depths_and_seeds_stand_together() -> None:
    entries = [
        Entry("prepare-0", "prepare", ()),
        Entry("pretrain-0", "pretrain", ()),
        Entry("ceiling-0", "ceiling", ("prepare-0", "pretrain-0")),
        Entry("weak-0", "weak", ("prepare-0", "pretrain-0")),
        Entry("weak-1", "weak", ("prepare-0", "pretrain-0", "elsewhere-0")),
        Entry("relabel-0", "relabel", ("weak-0", "prepare-0")),
        Entry("relabel-1", "relabel", ("weak-1", "prepare-0")),
        Entry("student-0", "student", ("relabel-0", "pretrain-0")),
    ]
    assert lay_out(entries) == [
        Box("prepare", 0, 0, ("prepare-0",), ()),
        Box("pretrain", 0, 1, ("pretrain-0",), ()),
        Box("ceiling", 1, 0, ("ceiling-0",), (0, 1)),
        Box("weak", 1, 1, ("weak-0", "weak-1"), (0, 1)),
        Box("relabel", 2, 0, ("relabel-0", "relabel-1"), (3, 0)),
        Box("student", 3, 0, ("student-0",), (4, 1)),
    ]


def test_boxes_stand_near_what_they_read() -> None:
    entries = [
        *(Entry(name, name, ()) for name in "abc"),
        Entry("of c", "of c", ("c",)),
        Entry("of a", "of a", ("a",)),
        Entry("of a and c", "of a and c", ("a", "c")),
    ]
    rows = {box.label: box.row for box in lay_out(entries)}
    assert rows == {"a": 0, "b": 1, "c": 2, "of a": 0, "of a and c": 1, "of c": 2}


def test_one_label_in_two_depths_is_two_boxes() -> None:
    """Else a box could read itself."""
    entries = [Entry("a", "train", ()), Entry("b", "train", ("a",))]
    assert lay_out(entries) == [Box("train", 0, 0, ("a",), ()), Box("train", 1, 0, ("b",), (0,))]
    assert lay_out([]) == []
