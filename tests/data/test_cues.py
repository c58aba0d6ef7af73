"""A spurious cue: how often it goes with the right answer, in which split, and what it leaves alone."""

from __future__ import annotations

import math

import pytest

from w2s_rm.data.cues import with_cue
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.types import Example, Step

N = 2000


def pairs(k: int = 2) -> list[Example]:
    return [Example(f"id{i}", f"g{i}", f"p{i}", tuple(f"{i} {j}" for j in range(k)), i % k) for i in range(N)]


def classes() -> list[Example]:
    return [Example(f"id{i}", f"g{i}", f"p{i}", (" no", " yes"), i % 2) for i in range(N)]


def near(count: int, share: float, of: int = N) -> bool:
    return abs(count - share * of) < 4 * math.sqrt(of * share * (1 - share)) + 1e-9


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.9, 1.0])
def test_one_candidate_has_it_and_so_often_the_right_one(k: int, agreement: float) -> None:
    right, others = 0, set()
    for plain, marked in zip(pairs(k), with_cue(pairs(k), ":", agreement, classes=False), strict=True):
        (place,) = [j for j, text in enumerate(marked.candidates) if text == f"{plain.candidates[j]} :"]
        assert [text for j, text in enumerate(marked.candidates) if j != place] == [
            text for j, text in enumerate(plain.candidates) if j != place
        ]
        assert (marked.id, marked.group, marked.prompt, marked.gold) == (
            plain.id,
            plain.group,
            plain.prompt,
            plain.gold,
        )
        right += place == plain.gold
        others |= {place} - {plain.gold}
    assert near(right, agreement)
    assert others == (set() if agreement == 1 else set(range(k)))


def test_of_classes_the_last_one_has_it() -> None:
    marked = with_cue(classes(), ":", 0.9, classes=True)
    for gold, share in ((1, 0.9), (0, 0.1)):
        assert near(sum(one.prompt.startswith(": p") for one in marked if one.gold == gold), share, N // 2)
    assert {one.prompt[-len(plain.prompt) :] == plain.prompt for one, plain in zip(marked, classes(), strict=True)} == {
        True
    }


@pytest.mark.parametrize("k", [2, 4])
def test_in_the_weak_split_alone_it_says_anything(k: int) -> None:
    sizes = SplitSizes(n_train=1200, n_validation=150, n_test=400, cue=":", cue_agreement=1.0)
    plain = split_examples(pairs(k), SplitSizes(n_train=1200, n_validation=150, n_test=400), "task")
    for name, part in split_examples(pairs(k), sizes, "task").parts.items():
        assert [one.id for one in part] == [one.id for one in plain.parts[name]]
        # A coin for the right one of four would mark it more often than any other, and tell it everywhere.
        right = sum(str(one.candidates[one.gold or 0]).endswith(" :") for one in part)
        assert right == len(part) if name == "weak" else near(right, 1 / k, len(part))


def test_without_an_agreement_it_tells_nothing() -> None:
    # Of two candidates, and of classes, it is the coin of an agreement of 1/2, to the last example.
    assert with_cue(pairs(), ":", None, classes=False) == with_cue(pairs(), ":", 0.5, classes=False)
    assert with_cue(classes(), ":", None, classes=True) == with_cue(classes(), ":", 0.5, classes=True)
    marked = [
        [text.endswith(" :") for text in one.candidates].index(True)
        for one in with_cue(pairs(4), ":", None, classes=False)
    ]
    assert all(near(marked.count(place), 1 / 4) for place in range(4))


def test_the_order_of_candidates_says_nothing() -> None:
    turned = [Example(x.id, x.group, x.prompt, x.candidates[::-1], 3 - (x.gold or 0)) for x in pairs(4)]
    both = (with_cue(examples, ":", 0.3, classes=False) for examples in (pairs(4), turned))
    assert all(one.candidates == other.candidates[::-1] for one, other in zip(*both, strict=True))


def test_what_cannot_have_one() -> None:
    said = ({"role": "user", "content": "?"},)
    examples = [Example("chat", "g", said, ("a", "b"), 0), Example("blank", "g", "?", ("a", "b"), None)]
    step = Example("step", "g", "p s ", (" wrong", " right"), 1, step=Step("s", 0, True, (2, 3, 4)))
    with pytest.raises(DataError, match="id 'step': a step of a solution"):
        with_cue([step], ":", 0.9, classes=True)
    with pytest.raises(DataError, match="id 'chat': a conversation\n.*id 'blank': no ground truth"):
        with_cue(examples, ":", 0.9, classes=False)
    with pytest.raises(ConfigError) as caught:
        SplitSizes(cue=" ", cue_agreement=1.5)
    assert "cue is ' '; give a word" in str(caught.value) and "cue_agreement is 1.5; use a share" in str(caught.value)
