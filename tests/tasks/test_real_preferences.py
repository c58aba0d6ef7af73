"""The human judgements that lie beside a checkout load whole, and their splits share no group."""

from itertools import combinations
from pathlib import Path

import pytest

from w2s_rm.data.examples import hash_order, read_examples, write_examples
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.tasks.preference import Preference

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "preferences"
FILES = {
    "ethics_utilitarianism": (22_484, {"group_column": "chosen", "separator": "\n"}),
    "hh_harmless_single_turn": (11_983, {"separator": " "}),
    "ukp_convarg": (12_521, {"group_column": "topic", "id_column": "pair_id"}),
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not there: data beside the checkout")


@pytest.fixture(scope="module", params=FILES)
def examples(request):
    _, options = FILES[request.param]
    task = Preference(str(FOLDER / f"{request.param}.jsonl.gz"), **options)
    return request.param, [hash_order(task.to_example(row)) for row in task.rows()]


def test_all_rows_load_with_unique_ids(examples):
    name, rows = examples
    assert len(rows) == len({row.id for row in rows}) == FILES[name][0]


def test_gold_is_anywhere(examples):
    _, rows = examples
    # At most 22,484 coin tosses: five standard errors are at most 5 * sqrt(n) / 2.
    assert abs(sum(row.gold for row in rows) - len(rows) / 2) < 5 * len(rows) ** 0.5 / 2


def test_splits_share_no_group(examples):
    name, rows = examples
    splits = split_examples(rows, SplitSizes(n_train=4000, n_validation=200, n_test=1000), name)
    parts = (splits.weak, splits.relabel, splits.validation, splits.test)
    assert [len(part) for part in parts] == [2000, 2000, 200, 1000]
    for one, other in combinations(parts, 2):
        assert not {row.group for row in one} & {row.group for row in other}
    assert (splits.duplicates, splits.contradictions) == (0, 0)


def test_round_trip(examples, tmp_path):
    _, rows = examples
    write_examples(tmp_path / "examples.parquet", rows)
    assert read_examples(tmp_path / "examples.parquet") == rows


def test_votes_on_arguments_are_a_soft_truth():
    columns = ["votes_chosen", "votes_rejected", "votes_equal"]
    task = Preference(str(FOLDER / "ukp_convarg.jsonl.gz"), votes_columns=columns, ties="half")
    rows = list(task.rows())
    examples = [task.to_example(row) for row in rows]
    for row, one in zip(rows, examples, strict=True):
        chosen, rejected, equal = (row.values[column] for column in columns)
        assert one.targets[0] == pytest.approx((chosen + equal / 2) / (chosen + rejected + equal))
        assert one.gold == (None if chosen == rejected else int(chosen < rejected))
    assert sum(one.gold is None for one in examples) == sum(
        row.values["votes_chosen"] == row.values["votes_rejected"] for row in rows
    )
