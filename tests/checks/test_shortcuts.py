"""Length and words: planted shortcuts are found, absent ones are not."""

import random
from dataclasses import replace

import pytest

from w2s_rm.checks import shortcuts
from w2s_rm.checks.shortcuts import bag_of_words, length_only
from w2s_rm.types import Example

NO_YES = (" no", " yes")


def pair(number, a, b, gold):
    return Example(str(number), str(number), "p", (a, b), gold)


def test_length_by_hand():
    train = [pair(0, "aaa", "b", 0), pair(1, "a", "bbbb", 1), pair(2, "aa", "b", 1)]
    # Longest is right in 2 of 3 in training; in the test: right, wrong, and a tie that gives half.
    test = [pair(3, "aa", "b", 0), pair(4, "aa", "b", 1), pair(5, "aa", "bb", 1)]
    found = length_only(train, test, None)
    assert (found.value, found.detail) == (0.5, "longest")
    short = [replace(example, gold=1 - example.gold) for example in train]
    found = length_only(short, test[:2], None)
    assert (found.value, found.detail) == (0.5, "shortest")
    assert length_only(short, test[1:2], None).value == 1.0


def test_length_is_fitted_on_training_and_scored_on_test():
    train = [pair(number, "long text", "short", 0) for number in range(5)]
    test = [pair(number, "long text", "short", 1) for number in range(5)]
    assert length_only(train, test, None).value == 0.0
    assert bag_of_words(train, test, None).value == 0.0


@pytest.mark.parametrize("longest", [2, 5])
def test_planted_in_candidates(comparisons, longest):
    splits = comparisons(longer=True, most=longest)
    assert length_only(splits["weak"], splits["test"], None).value > 0.9
    splits = comparisons(word=True, most=longest)
    assert bag_of_words(splits["weak"], splits["test"], None).value > 0.99
    assert length_only(splits["weak"], splits["test"], None).value < 0.75


@pytest.mark.parametrize("length", ["right is longer", "right is shorter"])
def test_planted_in_prompts(statements, length):
    splits = statements(length=length)
    assert length_only(splits["weak"], splits["test"], NO_YES).value > 0.85
    assert length_only(splits["weak"], statements(seed=1)["test"], NO_YES).value < 0.6


def test_planted_word_in_prompts(statements):
    splits = statements(word=True)
    assert bag_of_words(splits["weak"], splits["test"], NO_YES).value > 0.95
    assert length_only(splits["weak"], splits["test"], NO_YES).value < 0.65


def test_pairs_of_words_count_in_prompts():
    rng = random.Random(0)

    def example(number):
        gold = number % 2
        words = ["not good" if gold else "good not", *rng.choices("abcdef", k=4)]
        return Example(str(number), "g", " ".join(words), NO_YES, gold)

    found = bag_of_words([example(n) for n in range(200)], [example(n) for n in range(200, 300)], NO_YES)
    assert found.value > 0.95


def test_three_classes(statements):
    classes = (" low", " middle", " high")

    def example(number):
        return Example(str(number), "g", f"text {number} is {classes[number % 3]}", classes, number % 3)

    assert bag_of_words([example(n) for n in range(90)], [example(n) for n in range(90, 120)], classes).value == 1.0


def test_one_class_in_training(statements):
    train = statements(yes=1.0)["weak"]
    test = statements(yes=0.5)["test"]
    yes = sum(example.gold for example in test) / len(test)
    assert bag_of_words(train, test, NO_YES).value == length_only(train, test, NO_YES).value == yes


def test_order_of_candidates_does_not_matter(comparisons):
    splits = comparisons(word=True, longer=True)
    turned = {
        name: [replace(e, candidates=e.candidates[::-1], gold=len(e.candidates) - 1 - e.gold) for e in part]
        for name, part in splits.items()
    }
    for measure in (length_only, bag_of_words):
        assert measure(splits["weak"], splits["test"], None) == measure(turned["weak"], turned["test"], None)


def test_equal_bags_tie():
    train = [pair(n, f"good {n}", f"bad {n}", 0) for n in range(20)]
    test = [pair(n, "one two three", "three one two", n % 2) for n in range(8)]
    assert {round(credit, 12) for credit in [bag_of_words(train, test[:1], None).value]} == {0.5}
    assert bag_of_words(train, test, None).value == 0.5


def test_conversations():
    def message(text):
        return ({"role": "assistant", "content": text},)

    prompt = ({"role": "user", "content": "hello"},)
    rows = [Example(str(n), "g", prompt, (message(f"good {n} day"), message(f"bad {n}")), 0) for n in range(40)]
    assert bag_of_words(rows[:20], rows[20:], None).value == 1.0
    assert length_only(rows[:20], rows[20:], None).detail == "longest"


def test_long_texts_count_at_both_ends():
    text = "a" * 1_000 + "b" * 500 + "c" * 1_000
    assert shortcuts._ends(text) == "a" * 1_000 + " " + "c" * 1_000
    assert shortcuts._ends("short") == "short"


def test_large_tasks_are_sampled(comparisons, monkeypatch):
    monkeypatch.setattr(shortcuts, "MOST_CANDIDATES", 100)
    monkeypatch.setattr(shortcuts, "MOST_PROMPTS", 50)
    seen = []
    hashed = shortcuts._hashed
    monkeypatch.setattr(shortcuts, "_hashed", lambda texts, **more: seen.append(len(texts)) or hashed(texts, **more))
    splits = comparisons()
    bag_of_words(splits["weak"], splits["test"], None)
    bag_of_words([replace(e, candidates=NO_YES) for e in splits["weak"]], splits["test"], NO_YES)
    assert seen == [100, 100, 50, 50]
