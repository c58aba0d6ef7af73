"""Groups never span splits, nothing depends on row order, and data that is too small says what would fit."""

import itertools
import random
import re
from dataclasses import replace

import pytest

from w2s_rm.data.splits import Splits, SplitSizes, split_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.types import Example

NAMES = ("weak", "relabel", "validation", "test")


def example(i, group=None, gold=0, candidates=("yes", "no")):
    return Example(f"id{i}", f"g{i // 3}" if group is None else group, f"prompt {i}", candidates, gold)


def examples(n):
    return [example(i) for i in range(n)]


def ids(splits: Splits):
    return {name: [one.id for one in getattr(splits, name)] for name in NAMES}


def test_sizes_are_exact_and_the_pool_is_halved():
    splits = split_examples(examples(3000), SplitSizes(n_train=1001, n_validation=100, n_test=300), "t")
    assert [len(getattr(splits, name)) for name in NAMES] == [500, 501, 100, 300]


def test_which_examples_fall_where():
    """Other ids here mean other splits for everyone: numbers of before and after could not be compared."""
    sizes = SplitSizes(n_train=8, n_validation=2, n_test=3)
    assert ids(split_examples([example(i, group=f"g{i}") for i in range(60)], sizes, "t")) == {
        "weak": ["id53", "id33", "id23", "id37"],
        "relabel": ["id32", "id7", "id18", "id29"],
        "validation": ["id22", "id2"],
        "test": ["id52", "id38", "id55"],
    }


@pytest.mark.parametrize("n_classes", [None, 2])
@pytest.mark.parametrize("draw", [None, 3])
def test_with_nothing_to_train_on_all_groups_may_be_tested(n_classes, draw):
    balanced = [example(i, gold=i % 2) for i in range(60)]
    alone = split_examples(balanced, SplitSizes(n_train=0, n_test=60, draw=draw), "t", n_classes)
    assert [len(getattr(alone, name)) for name in NAMES] == [0, 0, 0, 60]
    everything = split_examples(balanced, SplitSizes(n_train=0, draw=draw), "t", n_classes)
    assert {one.id for one in everything.test} == {one.id for one in balanced}
    few = split_examples(balanced, SplitSizes(n_train=0, n_test=8), "t", n_classes)
    assert len(few.test) == 8 and not few.weak and not few.relabel
    with pytest.raises(DataError, match=r"test: .* 70 needed(.|\n)*these sizes fit: n_train: 0, .*n_test: 60"):
        split_examples(balanced, SplitSizes(n_train=0, n_test=70), "t", n_classes)


def test_another_draw_divides_what_is_not_tested_anew():
    sizes = SplitSizes(n_train=1000, n_validation=100, n_test=200)
    fixed, *draws = (split_examples(examples(3000), replace(sizes, draw=draw), "t") for draw in (None, 0, 1))
    assert all(splits.test == fixed.test for splits in draws)
    for splits in draws:
        assert [len(getattr(splits, name)) for name in NAMES] == [500, 500, 100, 200]
        groups = [{one.group for one in getattr(splits, name)} for name in NAMES]
        assert sum(map(len, groups)) == len(set.union(*groups))
    for one, other in itertools.combinations([fixed, *draws], 2):
        # Of some 2,538 examples that are not tested, any 500 have 98 in common with any 500 others; in groups of 3 that
        # is some 33 groups, give or take 5.
        both = {one.id for one in one.weak} & {other.id for other in other.weak}
        assert 98 - 60 < len(both) < 98 + 60


def test_which_examples_a_draw_takes():
    """As above: other ids mean other splits for everyone."""
    sizes = SplitSizes(n_train=8, n_validation=2, n_test=3, draw=1)
    assert ids(split_examples([example(i, group=f"g{i}") for i in range(60)], sizes, "t")) == {
        "weak": ["id37", "id42", "id6", "id29"],
        "relabel": ["id27", "id16", "id26", "id33"],
        "validation": ["id25", "id31"],
        "test": ["id52", "id38", "id55"],
    }


def test_a_draw_that_is_too_small_says_what_fits_it():
    sizes = SplitSizes(n_train=260, n_validation=20, n_test=20, draw=3)
    with pytest.raises(
        DataError, match=r"these sizes fit .*: n_train: (\d+), n_validation: (\d+), n_test: (\d+)$"
    ) as error:
        split_examples(examples(300), sizes, "t")
    fitting = [int(number) for number in re.findall(r"n_\w+: (\d+)", str(error.value).rpartition("these sizes")[2])]
    split_examples(examples(300), SplitSizes(*fitting, draw=3), "t")


def test_groups_stay_together():
    splits = split_examples(examples(3000), SplitSizes(n_train=1000, n_validation=100, n_test=300), "t")
    groups = [{one.group for one in getattr(splits, name)} for name in NAMES]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_default_shares():
    splits = split_examples(examples(30_000), SplitSizes(), "t")
    assert not splits.validation
    assert sum(len(getattr(splits, name)) for name in NAMES) == 30_000
    # Shares .4, .4, .2 of 10,000 groups: standard errors of at most 50 groups, which are 150 examples.
    for name, share in (("weak", 0.4), ("relabel", 0.4), ("test", 0.2)):
        assert abs(len(getattr(splits, name)) - share * 30_000) < 5 * 150, name


def test_one_size_missing_takes_all_that_fall_there():
    some = split_examples(examples(3000), SplitSizes(n_test=200), "t")
    assert len(some.test) == 200 and len(some.weak) + len(some.relabel) > 2200
    some = split_examples(examples(3000), SplitSizes(n_train=800, n_validation=50), "t")
    assert (len(some.weak), len(some.relabel), len(some.validation)) == (400, 400, 50)
    assert len(some.test) > 400
    some = split_examples(examples(3000), SplitSizes(n_validation=50), "t")
    assert len(some.validation) == 50 and len(some.test) > 300 and len(some.weak) > 900


def test_row_order_does_not_matter():
    rows = examples(600)
    shuffled = random.Random(0).sample(rows, len(rows))
    sizes = SplitSizes(n_train=200, n_validation=20, n_test=50)
    assert split_examples(rows, sizes, "t") == split_examples(shuffled, sizes, "t")


@pytest.mark.parametrize(
    "sizes", [SplitSizes(200, 20, 50), SplitSizes(n_test=50), SplitSizes(n_train=200), SplitSizes()]
)
def test_new_rows_move_no_group(sizes):
    def places(rows):
        splits = split_examples(rows, sizes, "t")
        return {one.group: name for name in NAMES for one in getattr(splits, name)}

    before, after = places(examples(600)), places(examples(1200))
    common = before.keys() & after.keys()
    assert len(common) > 50
    assert all(before[group] == after[group] for group in common)


def test_every_example_is_equally_likely_to_be_taken_from_a_full_split():
    # Taken by hash, not by position: the taken half of the ids must not be the first half.
    taken = split_examples(examples(3000), SplitSizes(n_train=1200, n_test=300), "t").weak
    numbers = [int(one.id[2:]) for one in taken]
    assert min(numbers) < 100 and max(numbers) > 2900 and 1300 < sum(numbers) / len(numbers) < 1700


def test_identical_rows_become_one():
    rows = examples(300)
    twice = [*rows, *rows[:40], rows[0]]
    splits = split_examples(twice, SplitSizes(), "t")
    assert (splits.duplicates, splits.contradictions) == (41, 0)
    assert ids(splits) == ids(split_examples(rows, SplitSizes(), "t"))


def test_majority_decides_between_contradicting_rows():
    rows = examples(300)
    against = [Example(one.id, one.group, one.prompt, ("no", "yes"), 0) for one in rows[:40]]
    splits = split_examples([*rows, *against, *against], SplitSizes(), "t")
    assert (splits.duplicates, splits.contradictions) == (40, 40)
    kept = {one.id: one.candidates[one.gold] for name in NAMES for one in getattr(splits, name)}
    assert [kept[f"id{i}"] for i in range(300)] == ["no"] * 40 + ["yes"] * 260


def test_a_tie_does_not_depend_on_row_order():
    rows = examples(100)
    against = [Example(one.id, one.group, one.prompt, ("no", "yes"), 0) for one in rows]
    one, other = (split_examples(both, SplitSizes(), "t") for both in (rows + against, against + rows))
    assert one == other and one.contradictions == 100
    winners = [x.candidates[x.gold] for name in NAMES for x in getattr(one, name)]
    assert 25 < winners.count("yes") < 75  # Binomial(100, 1/2), five standard errors of 5


def test_a_labelled_row_wins_over_an_unlabelled_one():
    rows = examples(300)
    unknown = Example("id7", "g2", "prompt 7", ("yes", "no"), None)
    splits = split_examples([unknown, *rows], SplitSizes(), "t")
    assert (splits.duplicates, splits.contradictions) == (1, 0)
    assert all(one.gold == 0 for name in NAMES for one in getattr(splits, name))


def test_one_id_for_different_rows_is_an_error():
    with pytest.raises(DataError, match="(?s)t: ids must be unique.*'id1' names 2 rows.*'id2' names 2 rows"):
        split_examples(
            [*examples(9), example(1, candidates=("a", "b")), example(2, candidates=("a", "c"))], SplitSizes(), "t"
        )


def test_too_few_names_counts_and_sizes_that_fit():
    rows = examples(3000)
    with pytest.raises(DataError) as raised:
        split_examples(rows, SplitSizes(n_train=8000, n_validation=100, n_test=2000), "pairs")
    message = str(raised.value)
    assert "pairs: too few for the splits (3000 examples in 1000 groups, the largest of 3)" in message
    assert re.search(r"weak: \d+ groups with \d+ examples, 4000 needed", message)
    fitting = re.search(r"these sizes fit: n_train: (\d+), n_validation: (\d+), n_test: (\d+)", message)
    n_train, n_validation, n_test = map(int, fitting.groups())
    # 3,000 examples in the proportions 80 : 1 : 20 would be 2,376 : 30 : 594; chance takes some of each.
    assert 2000 < n_train <= 2376 and 10 < n_validation <= 29 and 450 < n_test <= 594
    splits = split_examples(rows, SplitSizes(n_train, n_validation, n_test), "pairs")
    assert len(splits.weak) + len(splits.relabel) == n_train


def test_the_sizes_of_one_draw_fit_the_others():
    rows = unbalanced(1200, 0.2)
    with pytest.raises(DataError) as raised:
        split_examples(rows, SplitSizes(n_train=800, n_validation=60, n_test=200, draw=3), "t", 2)
    said = str(raised.value).split("these sizes fit (in draws 0 to 4 too): ")[1]
    fitting = {name: int(value) for name, value in re.findall(r"(n_\w+): (\d+)", said)}
    assert fitting["n_train"] > 200
    for draw in range(5):
        split_examples(rows, SplitSizes(**fitting, draw=draw), "t", 2)


@pytest.mark.parametrize("sizes", [SplitSizes(), SplitSizes(100, 0, 20)])
def test_one_giant_group_asks_for_a_group_column(sizes):
    rows = [example(i, group="all") for i in range(500)]
    with pytest.raises(DataError, match="(?s)500 examples in 1 groups, the largest of 500.*name a group_column"):
        split_examples(rows, sizes, "t")


def test_no_rows_at_all():
    with pytest.raises(DataError, match="0 examples in 0 groups"):
        split_examples([], SplitSizes(), "t")


def test_impossible_sizes():
    with pytest.raises(ConfigError, match=r"(?s)n_train is 1.*n_test is 0.*n_validation is -1"):
        SplitSizes(n_train=1, n_validation=-1, n_test=0)


def unbalanced(n, share, seed=0):
    """Examples in groups of one to three, of which a share has gold 1."""
    generator, made, group = random.Random(seed), [], 0
    while len(made) < n:
        group += 1
        for _ in range(generator.randint(1, 3)):
            made.append(example(len(made), group=f"g{group}", gold=int(generator.random() < share)))
    return made[:n]


def golds(splits):
    return {name: [one.gold for one in getattr(splits, name)] for name in NAMES}


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_every_split_is_balanced_to_the_example(share):
    splits = split_examples(unbalanced(3000, share), SplitSizes(n_train=401, n_validation=31, n_test=101), "t", 2)
    counts = {name: (found.count(0), found.count(1)) for name, found in golds(splits).items()}
    # An odd size has one more of the first class.
    assert counts == {"weak": (100, 100), "relabel": (101, 100), "validation": (16, 15), "test": (51, 50)}


def test_without_sizes_the_smaller_class_decides():
    rows = unbalanced(2000, 0.3)
    splits = split_examples(rows, SplitSizes(), "t", 2)
    for name, found in golds(splits).items():
        assert found.count(0) == found.count(1), name
    everything = split_examples(rows, SplitSizes(), "t")
    for name, found in golds(everything).items():
        assert 2 * found.count(1) == len(getattr(splits, name)), name
        # The surplus is left out, nobody changes the split.
        assert set(ids(splits)[name]) <= set(ids(everything)[name])


def test_three_classes():
    rows = [example(i, group=f"g{i}", gold=(0, 0, 0, 1, 1, 2)[i % 6], candidates=("a", "b", "c")) for i in range(3000)]
    splits = split_examples(rows, SplitSizes(n_train=300, n_test=100), "t", 3)
    assert [golds(splits)["weak"].count(k) for k in range(3)] == [50, 50, 50]
    assert [golds(splits)["test"].count(k) for k in range(3)] == [34, 33, 33]


def test_groups_stay_together_when_balanced():
    splits = split_examples(unbalanced(3000, 0.4), SplitSizes(n_train=800, n_validation=50, n_test=200), "t", 2)
    groups = [{one.group for one in getattr(splits, name)} for name in NAMES]
    assert sum(map(len, groups)) == len(set.union(*groups))


@pytest.mark.parametrize("sizes", [SplitSizes(1600, 0, 400), SplitSizes(1600, 60, 400), SplitSizes(n_train=1600)])
def test_data_that_cannot_be_balanced_says_what_would_fit(sizes):
    rows = unbalanced(2000, 0.1)
    with pytest.raises(DataError) as raised:
        split_examples(rows, sizes, "answers", 2)
    message = str(raised.value)
    assert "answers: too few for the splits (2000 examples in" in message
    found = re.search(
        r"weak: \d+ groups with (\d+) examples \(classes (\d+) \+ (\d+): (\d+) when balanced\), 800", message
    )
    total, zeros, ones, usable = map(int, found.groups())
    assert zeros + ones == total and usable == 2 * ones < 200
    fitting = {name: int(value) for name, value in re.findall(r"(n_\w+): (\d+)", message.split("these sizes fit")[1])}
    # About 200 examples have the rarer class, so about 400 can be used.
    assert 150 < fitting["n_train"] < 330
    balanced = split_examples(rows, SplitSizes(**fitting), "answers", 2)
    assert len(balanced.weak) + len(balanced.relabel) == fitting["n_train"]
    with pytest.raises(DataError, match="2000 examples"):
        split_examples(rows, SplitSizes(1000, 0, 250), "answers", 2)


def test_a_class_without_examples_never_fits():
    with pytest.raises(DataError, match=r"(?s)classes \d+ \+ 0: 0 when balanced.*no sizes in these proportions fit"):
        split_examples(unbalanced(500, 0.0), SplitSizes(), "t", 2)


def test_row_order_does_not_matter_when_balanced():
    rows = unbalanced(1000, 0.3)
    shuffled = random.Random(1).sample(rows, len(rows))
    sizes = SplitSizes(n_train=200, n_validation=20, n_test=50)
    assert split_examples(rows, sizes, "t", 2) == split_examples(shuffled, sizes, "t", 2)


def test_soft_truths_of_one_comparison_become_their_mean():
    soft = [
        Example("a", "g", "p", ("yes", "no"), 0, (2 / 3, 1 / 3)),
        Example("a", "g", "p", ("no", "yes"), 0, (2 / 3, 1 / 3)),
        Example("a", "g", "p", ("yes", "no"), None),
    ]
    rows = examples(300)

    def merged(same):
        splits = split_examples([*same, *rows], SplitSizes(), "t")
        (found,) = (one for part in splits.parts.values() for one in part if one.id == "a")
        return found, splits.duplicates, splits.contradictions

    found, duplicates, contradictions = merged(soft)
    assert (found.gold, found.truth, duplicates, contradictions) == (None, pytest.approx((0.5, 0.5)), 0, 2)
    assert merged(soft[::-1]) == (found, duplicates, contradictions)
    tie = Example("a", "g", "p", ("yes", "no"), None, (0.5, 0.5))
    hard = Example("a", "g", "p", ("yes", "no"), 1)
    assert merged([tie, hard])[0] == Example("a", "g", "p", ("yes", "no"), 1, (0.25, 0.75))
    assert merged(soft[:1])[0] == soft[0]
