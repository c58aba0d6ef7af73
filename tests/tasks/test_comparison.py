"""The common prompt of two texts: exact, at a word boundary, nobody left empty."""

import json
import random

import pytest

from w2s_rm.errors import DataError
from w2s_rm.tasks._comparison import comparison, parse_text, split_common

WORDS = ["a", "an", "ant", "yes", "no.", "😀", "e", "e\u0301", "don't", "3.14", "3.15", "蜜蜂。", "蜜", "Assistant:"]
GAPS = [" ", " ", " ", "  ", "\n", "\n\n", ""]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    ("a", "b", "prompt"),
    [
        ("Q: up? A: yes", "Q: up? A: no", "Q: up? A:"),
        ("\n\nHuman: hi\n\nAssistant: black", "\n\nHuman: hi\n\nAssistant: blue", "\n\nHuman: hi\n\nAssistant:"),
        ("Q\nyes", "Q\nno", "Q\n"),
        ("I like", "I like cats", "I"),
        ("I like ", "I like cats", "I"),
        ("yes", "yes sir", ""),
        ("left", "right", ""),
        (" left", " right", ""),
        ("pi is 3.14", "pi is 3.15", "pi is"),
        ("问题。黑", "问题。蓝", "问题。"),
    ],
)
def test_text_prompts(a, b, prompt):
    assert split_common((a, b)) == (prompt, (a[len(prompt) :], b[len(prompt) :]))


def random_text(rng, n):
    return "".join(rng.choice(WORDS) + rng.choice(GAPS) for _ in range(n))


def test_text_splits_are_exact_and_leave_words():
    rng = random.Random(0)
    prompted = 0
    for _ in range(5000):
        start = random_text(rng, rng.randrange(4))
        a, b = (start + random_text(rng, rng.randrange(3)) for _ in range(2))
        if not a.strip() or not b.strip():
            continue
        prompt, (left, right) = split_common((a, b))
        assert (prompt + left, prompt + right) == (a, b)
        assert left.strip() and right.strip()
        # At a boundary: the prompt ends with white space or a stop, or the candidate begins with the space.
        assert not prompt or prompt[-1] in "\n 。" or (left[0] == " " and right[0] == " ")
        prompted += bool(prompt)
    assert prompted > 1000


def test_conversation_splits_are_exact_and_leave_messages():
    rng = random.Random(0)
    for _ in range(2000):
        start, *ends = (
            tuple(rng.choice((user, assistant))(rng.choice("xy")) for _ in range(rng.randrange(k, 4)))
            for k in (0, 1, 1)
        )
        a, b = start + ends[0], start + ends[1]
        prompt, (left, right) = split_common((a, b))
        assert (prompt + left, prompt + right) == (a, b)
        assert left and right
        # Nothing more in common, unless one has but one message left.
        assert left[0] != right[0] or min(len(left), len(right)) == 1


def test_conversation_prompt():
    ask = (user("hi"), assistant("hello"), user("bees?"))
    assert split_common((ask + (assistant("a"),), ask + (assistant("b"),))) == (
        ask,
        ((assistant("a"),), (assistant("b"),)),
    )
    longer = ask + (assistant("a"), user("more"))
    assert split_common((ask + (assistant("a"),), longer)) == (ask, ((assistant("a"),), (assistant("a"), user("more"))))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"x is empty \(null\)"),
        (float("nan"), r"x is empty \(null\)"),
        (3, "x is int, not text or a list of messages"),
        (1.5, "x is float"),
        ({"text": "a"}, "x is dict"),
        (["a"], r"x\[0\] is str, not a message"),
        ([user("a"), {"role": "user"}], r"x\[1\]: a message needs text under 'content'; its keys are role"),
        ([{"from": "human", "value": "a"}], "needs text under 'role'; its keys are from, value; .*roles: sharegpt"),
        ([{"role": "user", "content": None, "tool_calls": []}], "needs text under 'content'"),
        ("[{'name': 'a', 'role': 'user', 'content': 'b'}]", "x is a list of messages written as text that is not JSON"),
        ("[{'content': 'b', 'role': 'user'}\n {'content': 'c', 'role': 'assistant'}]", "not JSON"),
        ([{"role": "user", "content": None}], "needs text under 'content'"),
        ([{"role": "user", "content": ["a"]}], "needs text under 'content'"),
        ("a \ud83d b", r"x holds half of a character \('\\ud83d' at position 2\)"),
        ([user("\udc00")], r"x\[0\].content holds half of a character"),
    ],
)
def test_cells_that_are_no_text(value, message):
    with pytest.raises(DataError, match=message):
        parse_text(value, "x")


def test_messages_lose_the_keys_that_columnar_files_add():
    assert parse_text([{**user("a"), "name": None}, {**user("b"), "name": "eve"}], "x") == (
        user("a"),
        {**user("b"), "name": "eve"},
    )


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"place": "Bern", "day": None}}}


def test_messages_that_call_tools_need_no_content():
    """A null content stays: some templates write calls only where the content is null, and TRL hands it on."""
    calls = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "assistant", "tool_calls": [CALL]}]
    answer = {"role": "tool", "name": "weather", "content": "7"}
    assert parse_text([*calls, answer], "x") == parse_text(json.dumps([*calls, answer]), "x") == (*calls, answer)
    one, other = (({**calls[0], "tool_calls": [{**CALL, "id": id}]},) for id in "ab")
    assert comparison((user("p"),), (one, other), 0).candidates == (one, other), "neither is empty, nor are they equal"


@pytest.mark.parametrize("written", [False, True])
def test_one_message_may_stand_without_its_list(written):
    message = json.dumps(assistant("a")) if written else assistant("a")
    assert parse_text(message, "x") == (assistant("a"),)


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "Bob", "role": "admin", "value": 3}]',
        '{"role": "admin", "name": "Bob"}',
        "{'role': 'user', 'content': f()}",
        'As JSON: [{"role": "user", "content": "a"}]',
    ],
)
def test_text_that_holds_data_is_text(text):
    assert parse_text(text, "x") == text


@pytest.mark.parametrize(
    ("prompt", "candidates", "message"),
    [
        ("p", ("a", " \n"), "response 2 is empty"),
        ("p", ("", ""), "response 1 and 2 is empty"),
        ((user("p"),), ((assistant("a"),), ()), "response 2 is empty"),
        ((user("p"),), ((assistant(" "),), (assistant("b"),)), "response 1 is empty"),
        ("p", ("a", "a"), "identical"),
        ((user("p"),), ((assistant("a"),), (assistant("a"),)), "identical"),
        ("p", ((assistant("a"),), (assistant("b"),)), "mixed; .*prompt_column: ''"),
        ("p", ("a", (assistant("b"),)), "mixed"),
    ],
)
def test_no_comparisons(prompt, candidates, message):
    with pytest.raises(DataError, match=message):
        comparison(prompt, candidates, 0)


def test_groups():
    one, other = comparison("p", ("a", "b"), 0), comparison("p", ("c", "d"), 0)
    assert one.group == other.group and one.id != other.id
    assert comparison("", ("a", "b"), 0).group != comparison("", ("c", "d"), 0).group
    assert comparison("p", ("a", "b"), 0, group="g").group == comparison("q", ("a", "b"), 0, group="g").group
