"""Content that stands in two splits."""

from w2s_rm.checks.leakage import near_leaks, overlaps, split_groups
from w2s_rm.checks.text import normalised
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
