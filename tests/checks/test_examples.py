"""`check_examples`: every planted flaw gives its warning, clean data gives none."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from w2s_rm.checks import CheckResult, Thresholds, check_examples
from w2s_rm.checks.result import Accuracy
from w2s_rm.checks.verdict import warnings_of
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.types import Example

NO_YES = (" no", " yes")


@pytest.mark.parametrize("most", [2, 6])
def test_clean_comparisons(comparisons, most):
    result = check_examples(comparisons(most=most), None)
    assert result.warnings == () and result.reasons == ()
    assert result.rows == result.groups == {"weak": 400, "relabel": 400, "test": 400}
    assert result.without_gold == {"weak": 0, "relabel": 0, "test": 0}
    assert result.balance == {} and result.majority is None
    assert result.cross_split_duplicates == 0
    if most == 2:
        assert result.chance == 0.5


def test_clean_statements(statements):
    result = check_examples(statements(), NO_YES)
    assert result.warnings == ()
    assert result.gold_first is None and result.near_leaks == ()
    assert set(result.balance) == {"weak", "relabel", "test"}
    assert sum(result.balance["test"].values()) == 1.0


def test_chance_of_ragged_candidates():
    def example(id, k):
        return Example(id, id, f"prompt {id}", tuple(f"candidate {id} {n}" for n in range(k)), 0)

    # (1/2 + 1/4) / 2
    assert check_examples({"test": [example("a", 2), example("b", 4)]}, None).chance == 0.375


def test_length_shortcut(comparisons, statements):
    # More words are also more evidence to a bag of words: it may warn as well.
    warning, *_ = check_examples(comparisons(longer=True), None).warnings
    assert warning.startswith("choosing the longest candidate is right in ")
    assert warning.endswith("of the test examples, guessing in 50.0 %: a shortcut")
    warning, *_ = check_examples(statements(length="right is longer"), NO_YES).warnings
    assert warning.startswith("the length of the prompt is right in ")


def test_word_shortcut(comparisons, statements):
    for result in (check_examples(comparisons(word=True, most=4), None), check_examples(statements(word=True), NO_YES)):
        assert any(warning.startswith("words without order are right in ") for warning in result.warnings)


def test_duplicates_across_splits(comparisons):
    splits = comparisons()
    copies = [replace(example, id=f"copy{n}", group=f"copy{n}") for n, example in enumerate(splits["weak"][:3])]
    shouted = replace(splits["relabel"][0], id="loud", group="loud", prompt=splits["relabel"][0].prompt.upper() + "!")
    result = check_examples({**splits, "test": [*splits["test"][:396], *copies, shouted]}, None)
    (overlap,) = [overlap for overlap in result.overlaps if overlap.split == "test"]
    assert (overlap.exact, overlap.normalised, overlap.of) == (3, 4, 400)
    assert result.cross_split_duplicates == result.counts()["cross_split_duplicates"] == 4
    # 3 of 400 prompts, without the one in capitals, are 0.75 %: above half a percent as well.
    duplicates, prompts = result.warnings
    assert duplicates.startswith("4 of 400 examples in test stand in another split as well, 3 of them to the letter")
    assert "copy0 (as weak0 in weak)" in duplicates
    assert prompts.startswith("0.8 % of the test examples have a prompt that training has as well (copy0,")


def test_a_group_in_two_splits(comparisons):
    splits = comparisons()
    splits["test"][0] = replace(splits["test"][0], group=splits["weak"][0].group)
    (warning,) = check_examples(splits, None).warnings
    assert warning == "1 groups stand in more than one split (weak-0): split by group"


def test_unbalanced_classes(statements):
    result = check_examples(statements(yes=0.8), NO_YES)
    (warning,) = result.warnings
    assert warning.startswith("always answering 'yes' is right in ") and warning.endswith("balance the classes")
    assert result.balance["weak"][" yes"] == pytest.approx(0.8, abs=0.06)
    # Shortcuts are measured against the majority class: no second warning for the same thing.
    assert result.guessing == result.majority.value > 0.7


def test_a_missing_class(statements):
    splits = statements()
    splits["weak"] = [example for example in splits["weak"] if example.gold]
    warnings = check_examples(splits, NO_YES).warnings
    assert warnings[0] == "no example of class ' no' in weak: use more examples, or fewer classes"


def test_thresholds(comparisons):
    splits = comparisons(longer=True)
    assert check_examples(splits, None, thresholds=Thresholds(length_only=0.5, bag_of_words=0.5)).warnings == ()
    clean = check_examples(comparisons(), None, thresholds=Thresholds(length_only=0.0, bag_of_words=0.0))
    assert clean.warnings == (), "the lower end counts, not the value"
    with pytest.raises(ConfigError, match="length_only is 5"):
        Thresholds(length_only=5)


def test_a_few_lucky_ones_are_no_shortcut():
    def example(number, gold):
        return Example(f"{gold}{number}", f"{gold}{number}", f"question {number}", (f"long {number}", "no"), gold)

    train = [example(number, 0) for number in range(40)]
    test = [example(100 + number, int(number >= 13)) for number in range(20)]
    result = check_examples({"weak": train, "test": test}, None)
    # 13 of 20 are 65 %, surely no more than 43 %.
    assert result.length_only.value == 0.65 and result.length_only.low == pytest.approx(0.433, abs=1e-3)
    assert result.warnings == ()


def test_position_of_gold_is_that_of_the_hashed_order(comparisons):
    splits = {
        name: [replace(e, candidates=(e.candidates[e.gold], e.candidates[1 - e.gold]), gold=0) for e in part]
        for name, part in comparisons().items()
    }
    result = check_examples(splits, None)
    assert result.gold_first.value == pytest.approx(0.5, abs=0.1)
    assert result.warnings == ()


def test_a_position_that_gives_gold_away():
    result = CheckResult({}, {}, {}, 0.5, gold_first=Accuracy(0.3, 0.28, 0.32))
    (warning,) = warnings_of(result, [], Thresholds())
    assert warning.startswith("the right candidate stands first in 30.0 % [28.0, 32.0]")
    assert warnings_of(replace(result, gold_first=Accuracy(0.44, 0.4, 0.46)), [], Thresholds()) == ()


def test_no_ground_truth(comparisons):
    splits = {name: [replace(e, gold=None) for e in part] for name, part in comparisons().items()}
    result = check_examples(splits, None)
    assert result.length_only is result.bag_of_words is result.gold_first is None
    assert result.reasons == ("no ground truth in test: no class balance, no shortcuts can be measured",)
    assert result.without_gold["test"] == 400 and result.warnings == ()
    assert result.counts() == {"cross_split_duplicates": 0, "check_warnings": 0}


def test_ground_truth_only_in_test(comparisons):
    splits = comparisons()
    splits |= {name: [replace(e, gold=None) for e in splits[name]] for name in ("weak", "relabel")}
    result = check_examples(splits, None)
    assert result.gold_first is not None and result.length_only is None
    assert result.reasons == ("no ground truth in weak and relabel: there is nothing to fit a shortcut on",)


def test_counts(statements):
    counts = check_examples(statements(yes=0.8), NO_YES).counts()
    assert list(counts) == ["length_only", "bag_of_words", "majority_class", "cross_split_duplicates", "check_warnings"]
    assert counts["check_warnings"] == 1
    assert all(0 <= counts[name] <= 1 for name in ("length_only", "bag_of_words", "majority_class"))


def test_deterministic_in_any_order_and_json(comparisons):
    splits = comparisons(longer=True, most=4)
    result = check_examples(splits, None)
    other = check_examples({name: part[::-1] for name, part in reversed(splits.items())}, None)
    assert json.loads(json.dumps(result.record())) == json.loads(json.dumps(other.record()))
    assert check_examples({**splits, "unused": splits["test"], "validation": []}, None) == result


def test_nothing_to_check(comparisons):
    with pytest.raises(DataError, match="the test split is empty"):
        check_examples({**comparisons(), "test": []}, None)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        CheckResult({}, {}, {}, 0.5).chance = 1.0
