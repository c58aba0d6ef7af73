"""The real questions and scenarios that lie beside a checkout load whole, and their splits share no group."""

from itertools import combinations

import pytest

from w2s_rm import catalog
from w2s_rm.data.splits import SplitSizes, split_examples

# Task, file, options; then examples, different ids, and the range of the share of gold 1.
FILES = [
    ("boolq", "boolq", {}, 3270, 3270, (0.62, 0.63)),
    ("boolq", "boolq_closed_book", {}, 12_697, 12_697, (0.62, 0.63)),
    ("ethics_justice", "ethics_justice", {}, 26_536, 26_536, (0.53, 0.54)),
    ("ethics_deontology", "ethics_deontology", {}, 25_294, 25_294, (0.52, 0.53)),
    # Two rows are the same question with its answers in another order.
    ("arc_easy", "arc_easy", {}, 4625, 4624, None),
    ("arc_easy", "arc_easy", {"form": "binary"}, 4625, 4624, (0.46, 0.54)),
    # Three questions have two equal answers.
    ("openbookqa", "openbookqa", {}, 5449, None, (0.46, 0.54)),
    ("openbookqa", "openbookqa", {"form": "choice"}, 5449, None, None),
]


@pytest.fixture(scope="module", params=FILES, ids=lambda case: "-".join([case[1], *case[2].values()]))
def case(request, shared_data):
    name, file, options, *expected = request.param
    task = catalog.lookup("tasks", name)(path=str(shared_data / "classification" / f"{file}.jsonl.gz"), **options)
    return task, [task.to_example(row) for row in task.rows()], expected


def test_all_rows_load(case):
    task, examples, (n, n_ids, share) = case
    assert len(examples) == n
    if n_ids is not None:
        assert len({example.id for example in examples}) == n_ids
    if share is not None:
        assert share[0] < sum(example.gold for example in examples) / n < share[1]
    assert task.classes is None or all(example.candidates == task.classes for example in examples)


def test_splits_share_no_group(case):
    task, examples, _ = case
    splits = split_examples(examples, SplitSizes(n_train=1200, n_test=400), "real")
    parts = (splits.weak, splits.relabel, splits.test)
    assert [len(part) for part in parts] == [600, 600, 400]
    for one, other in combinations(parts, 2):
        assert not {example.group for example in one} & {example.group for example in other}


def test_no_group_is_large(case):
    _, examples, _ = case
    groups = [example.group for example in examples]
    largest = max(map(groups.count, set(groups[:200])))
    assert largest < 0.04 * len(groups)
