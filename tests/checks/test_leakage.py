"""Content that stands in two splits."""

from dataclasses import replace

import pytest

from w2s_rm.checks.examples import check_examples
from w2s_rm.checks.leakage import near_leaks, overlaps, split_groups, wins_in_training
from w2s_rm.checks.text import normalised
from w2s_rm.data.grouping import join_shared_candidates
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.types import Example


def example(id, prompt, *candidates, group=None):
    return Example(id, group or id, prompt, candidates or ("yes", "no"), 0)


def test_normalised():
    assert normalised("  Don't\tSHOUT,  please! ") == "don t shout please"
    assert normalised(" ?! ") == "?!"
    assert normalised("Été") == "été"


def test_equal_and_nearly_equal_content():
    splits = {
        "weak": [example("w0", "What is it?", "A cat.", "A dog."), example("w1", "Where?")],
        "relabel": [example("r0", "Who?"), example("r1", "where")],
        "test": [
            example("t0", "What is it?", "A dog.", "A cat."),
            example("t1", "what is  it", "a cat", "a dog"),
            example("t2", "who?"),
            example("t3", "What is it?", "A cat.", "A cow."),
        ],
    }
    relabel, test = overlaps(splits)
    assert (relabel.split, relabel.exact, relabel.normalised, relabel.of) == ("relabel", 0, 1, 2)
    assert relabel.ids == ("r1 (as w1 in weak)",)
    assert (test.split, test.exact, test.normalised, test.of) == ("test", 1, 3, 4)
    assert test.ids == ("t0 (as w0 in weak)", "t1 (as w0 in weak)", "t2 (as r0 in relabel)")


def test_twice_within_a_split_is_no_leak():
    assert overlaps({"weak": [example("a", "x"), example("b", "x")], "test": [example("c", "y")]})[0].normalised == 0


def test_only_the_first_few_are_named():
    splits = {
        "weak": [example(f"w{n}", f"p{n}") for n in range(9)],
        "test": [example(f"t{n}", f"p{n}") for n in range(9)],
    }
    (found,) = overlaps(splits)
    assert found.normalised == 9 and len(found.ids) == 5


def test_same_prompt_and_same_candidate():
    train = [example("w0", "Who?", "Ann", "Bob"), example("w1", "Where?", "Rome", "Oslo")]
    test = [
        example("t0", "Who? ", "Eve", "Dan"),
        example("t1", "When?", "Rome", "Now"),
        example("t2", "Why?", "a", "b"),
        example("t3", "", "c", "d"),
    ]
    prompt, candidate = near_leaks(train, test)
    assert (prompt.part, prompt.share, prompt.ids) == ("prompt", 0.25, ("t0",))
    assert (candidate.part, candidate.share, candidate.ids) == ("candidate", 0.25, ("t1",))


def test_an_instruction_is_no_question():
    # More than ten, and more than a hundredth.
    train = [example(f"w{n}", "Which is better?", f"a{n}", f"b{n}") for n in range(11)]
    test = [example("t0", "Which is better?", "x", "y")]
    assert near_leaks(train, test)[0].share == 0.0
    assert near_leaks(train[:10], test)[0].share == 1.0


def test_groups_in_two_splits():
    splits = {"weak": [example("a", "x", group="g")], "test": [example("b", "y", group="g"), example("c", "z")]}
    assert split_groups(splits) == ["g"]


def better(id, chosen, rejected):
    return Example(id, id, "", (f"{chosen} is the text", f"{rejected} is the text"), 0)


def test_a_table_of_wins_by_hand():
    # a: +2, b: -1 + 1 = 0, c: -1, d: -1; e was never seen.
    train = [better("0", "a", "b"), better("1", "a", "c"), better("2", "b", "d")]
    test = [
        better("3", "a", "c"),
        better("4", "d", "b"),
        better("5", "c", "d"),
        better("6", "b", "e"),
        better("7", "e", "d"),
    ]
    found = wins_in_training(train, test)
    # Decided: 3 (right), 4 (wrong), 7 (right); 5 and 6 are ties.
    assert found.decided == 3 / 5 and found.right.value == pytest.approx(2 / 3) and found.chance == 0.5
    assert found.moves == 0.0, "three examples are no evidence"


def test_the_same_text_cut_elsewhere_counts():
    """Without a prompt column, what two texts begin with is their prompt, and the third begins otherwise."""
    train = [Example("0", "0", "I met", (" Ann today", " Bob"), 0), Example("1", "1", "I met", (" Bob", " Cid"), 0)]
    test = [Example("2", "2", "I", (" met Ann today", " saw Dan"), 0)]
    found = wins_in_training(train, test)
    assert found.decided == 1.0 and found.right.value == 1.0


def test_words_that_come_again_are_no_texts():
    moves = [Example(str(n), str(n), f"board {n}", ("Qh7", "Ke2"), 0) for n in range(9)]
    assert wins_in_training(moves[:5], moves[5:]) is None


def chains(n):
    """n chains A > B > C > D: what loses in one pair wins in the next one."""
    names = [[f"{letter}{number}" for letter in "ABCD"] for number in range(n)]
    return [better(f"{a}>{b}", a, b) for chain in names for a, b in zip(chain, chain[1:], strict=False)]


def test_grouping_by_the_better_text_turns_the_leak_around():
    pairs = [replace(pair, group=pair.candidates[0]) for pair in chains(400)]
    splits = split_examples(pairs, SplitSizes(n_train=600, n_test=300), "chains")
    found = wins_in_training([*splits.weak, *splits.relabel], splits.test)
    assert found.right.high < 0.2 and found.moves < -0.05
    result = check_examples(splits.parts, None)
    assert any("turned around" in warning and "group_by" in warning for warning in result.warnings)


def test_groups_of_connected_comparisons_leak_nothing():
    pairs = join_shared_candidates(chains(400))
    assert len({pair.group for pair in pairs}) == 400
    assert join_shared_candidates(pairs[::-1])[::-1] == pairs, "whatever the order"
    splits = split_examples(pairs, SplitSizes(n_train=600, n_test=300), "chains")
    assert wins_in_training([*splits.weak, *splits.relabel], splits.test) is None


def test_a_shared_row_of_one_group_joins_components():
    one, two = better("1", "a", "b"), better("2", "c", "d")
    assert len({pair.group for pair in join_shared_candidates([one, two])}) == 2
    two = replace(two, group=one.group)
    assert len({pair.group for pair in join_shared_candidates([one, two])}) == 1
