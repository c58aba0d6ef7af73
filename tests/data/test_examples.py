"""Content ids, candidate order by hash, and the exact round trip through a file."""

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest

from w2s_rm.data.examples import (
    content_id,
    hash_order,
    read_examples,
    read_truth,
    write_examples,
    write_parquet,
    write_parquet_parts,
)
from w2s_rm.errors import DataError
from w2s_rm.types import Example, content_hash, text_hash


def example(i, candidates=("good", "bad"), gold=0):
    return Example(f"id{i}", f"g{i}", f"p{i}", tuple(f"{text} {i}" for text in candidates), gold)


def swapped(one):
    return Example(one.id, one.group, one.prompt, one.candidates[::-1], len(one.candidates) - 1 - one.gold)


def test_content_id_ignores_order_only():
    assert content_id("p", ["a", "b"]) == content_id("p", ["b", "a"])
    assert len({content_id("p", ["a", "b"]), content_id("q", ["a", "b"]), content_id("p", ["a", "c"])}) == 3
    # No concatenation: the same characters cut elsewhere are other content.
    assert content_id("p", ["ab", "c"]) != content_id("p", ["a", "bc"])


def test_hash_order_moves_gold_along_and_ignores_data_order():
    for i in range(200):
        one = example(i, ("x", "y", "z", "w"), gold=i % 4)
        ordered = hash_order(one)
        assert ordered.candidates[ordered.gold] == one.candidates[one.gold]
        assert sorted(ordered.candidates) == sorted(one.candidates)
        assert hash_order(swapped(one)) == ordered == hash_order(ordered)
    assert hash_order(example(0, gold=None)).gold is None


def test_gold_position_is_a_coin_toss():
    # Chosen first in all 4,000 rows: the count of gold at 0 is Binomial(4000, 1/2), five standard errors are 158.
    first = sum(hash_order(example(i)).gold == 0 for i in range(4000))
    assert abs(first - 2000) < 5 * math.sqrt(4000 / 4)


def test_equal_candidates_are_ordered_anew_in_each_example():
    first = [hash_order(Example(f"id{i}", "g", f"p{i}", ("yes", "no"), 0)).candidates[0] for i in range(400)]
    assert abs(first.count("yes") - 200) < 5 * 10


def test_every_permutation_is_equally_likely():
    # 6 permutations of 3 in 6,000 draws: 1,000 each, standard error sqrt(6000 * 1/6 * 5/6) = 29.
    names = ("x", "y", "z")
    counts = Counter(tuple(text[0] for text in hash_order(example(i, names)).candidates) for i in range(6000))
    assert set(counts) == set(permutations(names))
    assert all(abs(count - 1000) < 5 * 29 for count in counts.values())


def test_round_trip_is_exact(tmp_path):
    messages = ({"role": "user", "content": "Hé 🐝"}, {"role": "assistant", "content": "", "tool_calls": [{"a": 1}]})
    examples = [
        Example("1", "g", "plain\r\n\t\x00 \u2028 ü", (" a", "a"), 1),
        Example("2", "g", "", ("half \ud83d", "\udc00 half"), None),
        Example("3", "h", messages, (messages[:1], messages[1:], messages), 2),
        Example("4", "h", (), (messages, messages[:1]), 0, template_kwargs={"tools": [{"name": "\ud83d", "b": None}]}),
    ]
    write_examples(tmp_path / "new" / "examples.parquet", examples)
    assert read_examples(tmp_path / "new" / "examples.parquet") == examples
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["examples.parquet"]


def test_truth_alone_is_read_without_texts(tmp_path):
    path = tmp_path / "test.parquet"
    one, other = Example("1", "g", "p", ("a", "b"), 1), Example("2", "h", "p", ("a", "b"), None)
    write_examples(path, [one, other])
    assert read_truth(path) == {"1": ("g", 1), "2": ("h", None)}
    with pytest.raises(DataError, match="not a file of examples"):
        read_truth(tmp_path / "absent.parquet")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet

    path = tmp_path / "examples.parquet"
    write_examples(path, [example(1)])

    def fail(table, place):
        place.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pyarrow.parquet, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_parquet(path, pa.table({}))
    assert read_examples(path) == [example(1)]
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_rename_leaves_the_old_file(tmp_path, monkeypatch):
    import os

    path = tmp_path / "examples.parquet"
    write_examples(path, [example(1)])

    def fail(source, target):
        raise OSError("interrupted")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="interrupted"):
        write_examples(path, [example(2)])
    assert read_examples(path) == [example(1)]
    assert list(tmp_path.iterdir()) == [path]


def test_reading_another_file_is_an_error(tmp_path):
    import pyarrow as pa

    with pytest.raises(DataError, match=r"missing\.parquet: not a file of examples"):
        read_examples(tmp_path / "missing.parquet")
    write_parquet(tmp_path / "other.parquet", pa.table({"id": ["1"]}))
    with pytest.raises(DataError, match=r"other\.parquet: not a file of examples"):
        read_examples(tmp_path / "other.parquet")


def test_a_soft_truth_is_written_read_and_trained_on(tmp_path):
    soft = Example("a", "a", "p", ("x", "y", "z"), 1, (0.25, 0.5, 0.25), 0.75)
    tie, hard, none = (Example(id, id, "p", ("x", "y"), gold) for id, gold in (("b", None), ("c", 1), ("d", None)))
    tie = replace(tie, truth=(0.5, 0.5))
    write_examples(tmp_path / "examples.parquet", [soft, tie, hard, none])
    found = read_examples(tmp_path / "examples.parquet")
    assert found == [soft, tie, hard, none]
    assert [one.targets for one in found] == [(0.25, 0.5, 0.25), (0.5, 0.5), (0.0, 1.0), None]


@pytest.mark.parametrize("text", ["", " e2e4", "é" * 32, "x" * 33, ({"role": "user", "content": "a"},)])
def test_remembered_hashes_are_the_same(text):
    assert text_hash(text) == text_hash(text) == content_hash(text)


def test_a_file_of_no_parts_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.parquet: there is nothing to write"):
        write_parquet_parts(tmp_path / "none.parquet", iter(()))
    assert not (tmp_path / "none.parquet").exists()
