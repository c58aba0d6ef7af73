"""Preference data in all of TRL's forms becomes the same comparison; what is none is refused with its place."""

import json

import pytest

from w2s_rm.data.examples import hash_order
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.programs.prepare import read_task
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Row

USER, YES, NO = ({"role": r, "content": c} for r, c in (("user", "Up?"), ("assistant", "Yes."), ("assistant", "No.")))


def example(values, **options):
    return Preference("pairs.jsonl", **options).to_example(Row("pairs.jsonl:7", values))


def test_explicit_text():
    one = example({"prompt": "Up?", "chosen": " Yes.", "rejected": " No."})
    assert (one.prompt, one.candidates, one.gold) == ("Up?", (" Yes.", " No."), 0)


def test_implicit_text():
    one = example({"chosen": "Up? Yes.", "rejected": "Up? No."}, prompt_column=None)
    assert (one.prompt, one.candidates, one.gold) == ("Up?", (" Yes.", " No."), 0)


def test_explicit_and_implicit_conversation():
    explicit = example({"prompt": [USER], "chosen": [YES], "rejected": [NO]})
    assert (explicit.prompt, explicit.candidates, explicit.gold) == ((USER,), ((YES,), (NO,)), 0)
    assert example({"chosen": [USER, YES], "rejected": [USER, NO]}, prompt_column=None) == explicit


def test_agrees_with_trl_on_conversations():
    data_utils = pytest.importorskip("trl.data_utils")
    row = {"chosen": [USER, YES], "rejected": [USER, NO]}
    theirs, ours = data_utils.extract_prompt(row), example(row, prompt_column=None)
    assert (theirs["prompt"], theirs["chosen"], theirs["rejected"]) == ([*ours.prompt], *map(list, ours.candidates))


def test_id_ignores_which_is_preferred():
    a = example({"prompt": "p", "chosen": "a", "rejected": "b"})
    b = example({"prompt": "p", "chosen": "b", "rejected": "a"})
    assert a.id == b.id and a.candidates == b.candidates[::-1]
    assert hash_order(a).candidates == hash_order(b).candidates
    assert hash_order(a).gold == 1 - hash_order(b).gold
    assert example({"prompt": "q", "chosen": "a", "rejected": "b"}).id != a.id


def test_columns_are_options():
    row = {"question": "p", "better": "a", "worse": "b", "pair": 12, "topic": "bees"}
    options = {"prompt_column": "question", "chosen_column": "better", "rejected_column": "worse"}
    one = example(row, **options, id_column="pair", group_column="topic")
    assert one.id == "12"
    assert one.group == example({**row, "question": "q"}, **options, group_column="topic").group
    assert one.group != example({**row, "topic": "ants"}, **options, group_column="topic").group


def test_conversations_written_as_json_are_conversations():
    turns = {"prompt": [USER], "chosen": [YES], "rejected": [NO]}
    written = {name: json.dumps(messages) for name, messages in turns.items()}
    assert example(written) == example(turns)
    quoting = example({"prompt": "p", "chosen": '[{"a": 1}]', "rejected": '[ {"role" is no key} ]'})
    assert quoting.candidates == ('[{"a": 1}]', '[ {"role" is no key} ]'), "other JSON is text"


SHAREGPT = {
    "prompt": [{"from": "system", "value": "s"}, {"from": "human", "value": "p"}],
    "chosen": {"from": "gpt", "value": "a"},
    "rejected": [{"role": "bot", "content": "b"}],
}


def test_speakers_of_sharegpt_are_those_that_templates_know():
    messages = {
        "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
    }
    written = {name: json.dumps(cell) for name, cell in SHAREGPT.items()}
    for row in (SHAREGPT, written):
        assert example(row, roles="sharegpt") == example(messages)
    others = {**messages, "rejected": [{"role": "KI", "content": "b"}]}
    assert example(others, roles={"KI": "assistant"}) == example(messages)
    with pytest.raises(DataError, match=r"jsonl:7: 'chosen': .*its keys are from, value; .*roles: sharegpt"):
        example(SHAREGPT)


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"place": "Bern", "day": None}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def test_tools_and_arguments_of_the_template_come_along():
    row = {"prompt": [USER], "chosen": [{"role": "assistant", "content": None, "tool_calls": [CALL]}], "rejected": [NO]}
    one = example({**row, "tools": TOOLS, "chat_template_kwargs": {"enable_thinking": False}})
    assert one.template_kwargs == {"tools": TOOLS, "enable_thinking": False}
    assert one.candidates[0] == tuple(row["chosen"])
    assert example({**row, "tools": json.dumps(TOOLS)}).template_kwargs == {"tools": TOOLS}
    assert example({**row, "schemas": TOOLS}, tools_column="schemas").template_kwargs == {"tools": TOOLS}
    bare = example(row)
    for without in (example({**row, "tools": TOOLS}, tools_column=""), example({**row, "tools": None})):
        assert without == bare and without.template_kwargs == {}
    assert one.id != bare.id and one.group == bare.group, "other text for the model, the same prompt"
    with pytest.raises(DataError, match=r"jsonl:7: 'tools' is dict, not a list"):
        example({**row, "tools": TOOLS[0]})
    with pytest.raises(DataError, match="no column 'schemas' .option tools_column"):
        example(row, tools_column="schemas")
    assert example({"prompt": "p", "chosen": "a", "rejected": "b", "tools": 3}).template_kwargs == {}, "as in TRL"


def test_a_prompt_as_text_beside_whole_conversations():
    """The form of UltraFeedback on the hub: the text is the first user message, after a system message if any."""
    system = {"role": "system", "content": "s"}
    for start in ([USER], [system, USER]):
        row = {"chosen": [*start, YES], "rejected": [*start, NO]}
        expected = example(row, prompt_column=None)
        assert example({**row, "prompt": USER["content"]}) == expected
        assert expected.prompt == tuple(start) and expected.candidates == ((YES,), (NO,))
    assert example({**row, "prompt": "p"}, prompt_column="").prompt == (system, USER)


def test_separator_goes_between():
    assert example({"prompt": "p", "chosen": "a", "rejected": "b"}, separator=" ").candidates == (" a", " b")
    with pytest.raises(DataError, match=r"pairs\.jsonl:7: response 1 is empty"):
        example({"prompt": "p", "chosen": "", "rejected": "b"}, separator=" x ")
    with pytest.raises(DataError, match="separator is for plain text"):
        example({"prompt": [USER], "chosen": [YES], "rejected": [NO]}, separator=" ")


def test_groups_by_what_the_first_response_begins_with():
    rows = [{"prompt": "p", "chosen": text, "rejected": "x"} for text in ("a b c", "a  b d", "a c b")]
    by_words = [example(row, group_by={"first_words": 2}).group for row in rows]
    assert by_words[0] == by_words[1] != by_words[2]
    assert len({example(row, group_by="chosen").group for row in rows}) == 3
    assert len({example(row).group for row in rows}) == 1
    messages = {"prompt": [USER], "chosen": [{"role": "assistant", "content": "a b z"}], "rejected": [NO]}
    assert example(messages, group_by={"first_words": 2}).group == by_words[0]


def test_the_better_response_groups_wherever_it_stands():
    rows = [{"prompt": "p", "a": "x y", "b": "z", "which": "a"}, {"prompt": "p", "a": "z", "b": "x y", "which": "b"}]
    for group_by in ("chosen", {"first_words": 1}):
        one, two = (example(row, **AB, preferred_column="which", group_by=group_by).group for row in rows)
        assert one == two != example({**rows[0], "which": "b"}, **AB, preferred_column="which", group_by=group_by).group


def test_an_implicit_prompt_belongs_to_the_response():
    """The same text is cut elsewhere in every comparison, but its words and what it is stay the same."""
    rows = [{"chosen": "a b c d", "rejected": "a b c e"}, {"chosen": "a b c d", "rejected": "a x"}]
    for group_by in ("chosen", {"first_words": 2}, {"first_words": 4}):
        one, two = (example(row, prompt_column="", group_by=group_by) for row in rows)
        assert one.prompt != two.prompt and one.group == two.group


def connected(rows, **options):
    """How many groups are left."""
    task = Preference("pairs.jsonl", group_by="candidates", **options)
    examples = [task.to_example(Row("pairs.jsonl:7", row)) for row in rows]
    return len({one.group for one in task.regroup(examples)})


def test_comparisons_are_connected_by_responses_and_prompts():
    chain = [{"prompt": f"p{n}", "chosen": f"t{n}", "rejected": f"t{n + 1}"} for n in range(3)]
    assert connected(chain) == 1 and connected([chain[0], chain[2]]) == 2
    assert connected([chain[0], {**chain[2], "prompt": "p0"}]) == 1
    bare = [{"chosen": "a b c d", "rejected": "a b c e"}, {"chosen": "a x", "rejected": "a b c d"}]
    assert connected(bare, prompt_column="") == 1
    assert connected([bare[0], {"chosen": "q c d", "rejected": "q c e"}], prompt_column="") == 2, "ends are no texts"


def test_an_instruction_connects_nothing():
    rows = [{"prompt": "Which is better?", "chosen": f"a{n}", "rejected": f"b{n}"} for n in range(11)]
    assert connected(rows) == 11 and connected(rows[:10]) == 1


AB = {"response_a_column": "a", "response_b_column": "b"}


def test_without_ground_truth():
    assert example({"prompt": "p", "a": "x", "b": "y"}, **AB).gold is None


@pytest.mark.parametrize(
    ("preferred", "gold"),
    [("a", 0), ("B", 1), (0, 0), (1, 1), ("1", 1), (1.0, 1), ("model_a", 0), ("model_b", 1)],
)
def test_preferred_column(preferred, gold):
    row = {"prompt": "p", "a": "x", "b": "y", "which": preferred}
    one = example(row, **AB, preferred_column="which")
    assert (one.candidates, one.gold) == (("x", "y"), gold)


@pytest.mark.parametrize("preferred", [None, "", float("nan")])
def test_rows_without_truth_among_rows_with_it(preferred, tmp_path, caplog):
    row = {"prompt": "p", "a": "x", "b": "y", "which": preferred}
    with pytest.raises(DataError, match=r"pairs\.jsonl:7: it has no ground truth, .* unlabelled: drop"):
        example(row, **AB, preferred_column="which")
    rows = [
        {**row, "which": None if preferred != preferred else preferred},
        {**row, "which": "a"},
        {**row, "which": "b"},
    ]
    assert read(tmp_path, rows, **AB, preferred_column="which", unlabelled="drop") == [(0, None), (1, None)]
    assert "left out 1 rows without ground truth" in caplog.text


def read(tmp_path, rows, **options):
    """Gold and truth of the rows that are used."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = Preference(str(path), **options)
    examples = [task.to_example(row) for row in task.rows()]
    return [(one.gold, one.truth) for one in examples]


def test_rows_whose_responses_are_alike(tmp_path, caplog):
    def row(chosen, rejected, role="assistant"):
        prompt, spoken = [{"role": "user", "content": "p"}], ({"role": "assistant", "content": chosen},)
        return {"prompt": prompt, "chosen": spoken, "rejected": ({"role": role, "content": rejected},)}

    rows = [row("x", "y"), row("x", "x"), row("x", " x\n", "tool"), row("<think>a</think>x", "<think>b</think>x")]
    assert read(tmp_path, rows, alike="drop") == [(0, None)]
    assert "left out 3 rows whose responses are alike" in caplog.text
    task = Preference(str(tmp_path / "rows.jsonl"), alike="drop")
    assert read_task(task, "preference").left_out == {"whose responses are alike": 3}
    with pytest.raises(DataError):
        read(tmp_path, rows)
    texts = [{"prompt": "p", "chosen": a, "rejected": b} for a, b in (("x", "y"), ("x", "x"), ("x", "x "))]
    assert read(tmp_path, texts, alike="drop") == [(0, None), (0, None)]


def test_a_tie_is_dropped_whatever_its_texts_are(tmp_path):
    rows = [{"prompt": "p", "a": "x", "b": "y", "which": "a"}, {"prompt": "p", "a": 5, "b": "y", "which": "tie"}]
    columns = {"response_a_column": "a", "response_b_column": "b", "preferred_column": "which"}
    assert read(tmp_path, rows, **columns, ties="drop", alike="drop") == [(0, None)]


@pytest.mark.parametrize("tie", ["tie", "Tie (bothbad)", "both", "neither"])
def test_ties(tie, tmp_path, caplog):
    row = {"prompt": "p", "a": "x", "b": "y", "which": tie}
    options = {**AB, "preferred_column": "which"}
    with pytest.raises(DataError, match="it is a tie; set ties: half"):
        example(row, **options)
    one = example(row, **options, ties="half")
    assert (one.gold, one.truth, one.targets) == (None, (0.5, 0.5), (0.5, 0.5))
    assert read(tmp_path, [row, {**row, "which": "b"}], **options, ties="drop") == [(1, None)]
    assert "left out 1 rows that are ties" in caplog.text


def test_ratings_say_who_wins_and_how_surely():
    row = {"prompt": "p", "chosen": "x", "rejected": "y", "rx": 3, "ry": "4.5"}
    options = {"rating_columns": ["rx", "ry"]}
    assert (example(row, **options).gold, example(row, **options).truth) == (1, None)
    soft = example(row, **options, rating_scale=1.5)
    # sigmoid((3 - 4.5) / 1.5) = 1 / (1 + e) = 0.2689
    assert soft.gold == 1 and soft.truth == pytest.approx((0.26894, 0.73106), abs=1e-5)
    assert example({**row, "ry": 3.0}, **options, ties="half").truth == (0.5, 0.5)
    far = example({**row, "rx": -1e300, "ry": 1e300}, **options, rating_scale=0.1)
    assert far.truth == pytest.approx((0.0, 1.0)) and far.gold == 1
    for bad in ("high", True, float("inf")):
        with pytest.raises(DataError, match="'ry' is .*, no number; correct it"):
            example({**row, "ry": bad}, **options)
    with pytest.raises(DataError, match="no ground truth"):
        example({**row, "rx": None}, **options)


def test_votes_are_a_soft_truth():
    row = {"prompt": "p", "chosen": "x", "rejected": "y", "for": 1, "against": 4}
    options = {"votes_columns": ["for", "against"]}
    one = example(row, **options)
    assert (one.gold, one.truth) == (1, (0.2, 0.8))
    ordered = hash_order(one)
    assert ordered.truth[ordered.candidates.index("x")] == 0.2, "the truth moves with its candidates"
    assert example({**row, "for": 4}, **options, ties="half").truth == (0.5, 0.5)
    with pytest.raises(DataError, match="'for' is -1, no number from 0 up"):
        example({**row, "for": -1}, **options)
    with pytest.raises(DataError, match="no ground truth"):
        example({**row, "for": 0, "against": 0}, **options)


def test_a_margin_that_is_not_used_is_said(tmp_path, caplog):
    read(tmp_path, [{"prompt": "p", "chosen": "x", "rejected": "y", "margin": 1.0}])
    assert "the column 'margin' is not used; set margin_column" in caplog.text


@pytest.mark.parametrize("preferred", [2, True, ["a"], 0.5])
def test_preferred_column_holds_something_else(preferred):
    with pytest.raises(DataError, match=r"pairs\.jsonl:7: 'which' is .*; write a, b, 0, 1, tie, or null"):
        example({"prompt": "p", "a": "x", "b": "y", "which": preferred}, **AB, preferred_column="which")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"chosen": ""}, {}, "response 1 is empty"),
        ({"rejected": "a"}, {}, "identical"),
        ({"chosen": None}, {}, r"'chosen' is empty \(null\)"),
        ({"prompt": float("nan")}, {}, r"'prompt' is empty \(null\)"),
        ({"rejected": 5}, {}, "'rejected' is int"),
        ({"rejected": [YES]}, {}, "mixed"),
        ({"chosen": [USER, YES], "rejected": [USER, NO]}, {}, "do not begin with it.*prompt_column: ''"),
        (
            {"chosen": "[{'role': 'user', 'content': 'a'}]"},
            {},
            r"'chosen' is a list of messages written as text .*json\.dumps",
        ),
        ({"chosen": json.dumps([{"role": "user"}])}, {}, r"'chosen'\[0\]: a message needs text under 'content'"),
        ({"chosen": [{"role": "user"}]}, {}, r"'chosen'\[0\]: a message needs text under 'content'"),
        ({"topic": None}, {"group_column": "topic"}, "group_column is empty in this row"),
        ({"topic": ""}, {"id_column": "topic"}, "id_column is empty in this row"),
        ({"topic": "\ud800"}, {"id_column": "topic"}, "id_column holds half of a character"),
        ({}, {"prompt_column": "promt"}, r"no column 'promt' \(option prompt_column\); did you mean 'prompt'"),
        ({"chosen": " ", "rejected": " "}, {"prompt_column": None}, "response 1 and 2 is empty"),
        ({"chosen": "a b", "rejected": "a b"}, {"prompt_column": None}, "identical"),
        ({"chosen": [USER, YES], "rejected": "b"}, {"prompt_column": None}, "mixed"),
        (
            {"chosen": [USER, YES], "rejected": [USER, {**NO, "content": ""}]},
            {"prompt_column": None},
            "response 2 is empty",
        ),
    ],
)
def test_bad_rows_name_their_place(change, options, message):
    with pytest.raises(DataError, match=rf"(?s)^pairs\.jsonl:7: .*{message}"):
        example({"prompt": "p", "chosen": "a", "rejected": "b", **change}, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"response_a_column": "a"}, "belong together"),
        ({"preferred_column": "which"}, "name them too"),
        ({"separator": " ", "prompt_column": None}, "remove one of them"),
        ({"rating_columns": ["a"]}, "name two columns"),
        ({"rating_columns": ["a", "b"], "votes_columns": ["c", "d"]}, "keep one"),
        ({"rating_scale": 1.0}, "divides differences of rating_columns"),
        ({"rating_columns": ["a", "b"], "rating_scale": 0.0}, "a positive number"),
        ({"ties": "skip", "unlabelled": "keep"}, "(?s)ties is 'skip'.*unlabelled is 'keep'"),
        ({"alike": "keep"}, "alike is 'keep'"),
        ({"roles": "openai"}, "write sharegpt, or which name"),
        ({"roles": {"gpt": 1}}, "write sharegpt, or which name"),
        ({"group_by": "rejected"}, "write prompt, chosen, candidates, or"),
        ({"group_by": {"first_words": 0}}, "write prompt, chosen, candidates, or"),
        ({"group_by": {"words": 5}}, "write prompt, chosen, candidates, or"),
        ({"group_by": "chosen", "group_column": "topic"}, "remove one of them"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigError, match=message):
        Preference("pairs.jsonl", **options)


def test_rows_are_read_and_columns_checked_before_the_first(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{i}", "chosen": "a", "rejected": "b"}) + "\n" for i in range(3)))
    task = Preference(str(path))
    assert [task.to_example(row).prompt for row in task.rows()] == ["0", "1", "2"]
    assert task.content_version().startswith("sha256:")
    with pytest.raises(DataError, match=r"pairs\.jsonl:1: no column 'choosen' .*did you mean 'chosen'"):
        Preference(str(path), chosen_column="choosen").rows()


def test_hub_version():
    assert Preference("owner/name", revision="abc").content_version() == "hub:owner/name@abc"


def test_votes_for_neither_are_half_a_vote_each():
    row = {"prompt": "p", "chosen": "x", "rejected": "y", "for": 3, "against": 1, "equal": 4}
    options = {"votes_columns": ["for", "against", "equal"]}
    assert (example(row, **options).gold, example(row, **options).truth) == (0, (0.625, 0.375))
    lmsys = {**row, "for": 0, "against": 0, "equal": 1}
    assert example(lmsys, **options, ties="half").truth == (0.5, 0.5)
    with pytest.raises(DataError, match="'equal' is -4"):
        example({**row, "equal": -4}, **options)


def test_rows_that_contradict_each_other_may_become_a_soft_truth():
    row, against = {"prompt": "p", "chosen": "x", "rejected": "y"}, {"prompt": "p", "chosen": "y", "rejected": "x"}
    other = {"prompt": "another", "chosen": "x", "rejected": "y"}
    rows = [row, against, row, *({**other, "prompt": str(n)} for n in range(40))]

    def merged(rows, **options):
        splits = split_examples([example(one, **options) for one in rows], SplitSizes(), "t")
        (found,) = (hash_order(one) for part in splits.parts.values() for one in part if one.prompt == "p")
        return found, splits.contradictions

    hard, _ = merged(rows)
    assert (hard.candidates[hard.gold], hard.truth) == ("x", None)
    soft, contradictions = merged(rows, contradictions="soft")
    assert (soft.candidates[soft.gold], contradictions) == ("x", 1)
    assert soft.truth[soft.gold] == pytest.approx(2 / 3)
    assert merged(rows[::-1], contradictions="soft") == (soft, 1)
    even, _ = merged(rows[1:], contradictions="soft")
    assert (even.gold, even.truth) == (None, (0.5, 0.5))
    only, _ = merged(rows[2:], contradictions="soft")
    assert (only.candidates[only.gold], only.targets[only.gold]) == ("x", 1.0)


def test_margins_are_numbers_and_go_with_the_better_response():
    row = {"prompt": "p", "chosen": "x", "rejected": "y", "margin": "1.5"}
    one = example(row, margin_column="margin")
    assert (one.margin, hash_order(one).margin) == (1.5, 1.5)
    assert example(row).margin is None
    for bad in ("wide", float("inf"), True):
        with pytest.raises(DataError, match=r"pairs\.jsonl:7: 'margin' is .*, no number"):
            example({**row, "margin": bad}, margin_column="margin")
    with pytest.raises(DataError, match="'margin' .* is empty; write a number"):
        example({**row, "margin": None}, margin_column="margin")
    tie = {**row, "rx": 1, "ry": 1}
    assert example(tie, margin_column="margin", rating_columns=["rx", "ry"], ties="half").margin is None


@pytest.mark.parametrize(("strength", "first"), [(-3, 0.8176), (1, 0.3775), ("2", 0.2689)])
def test_strength_says_by_how_much_the_second_is_better(strength, first):
    row = {"prompt": "p", "a": "x", "b": "y", "strength": strength}
    options = {**AB, "strength_column": "strength"}
    assert Preference("pairs.jsonl", **options).has_ground_truth
    assert (example(row, **options).gold, example(row, **options).truth) == (int(first < 0.5), None)
    # sigmoid(-strength / 2)
    assert example(row, **options, rating_scale=2.0).truth == pytest.approx((first, 1 - first), abs=1e-4)
    with pytest.raises(DataError, match="it is a tie"):
        example({**row, "strength": 0}, **options)
    with pytest.raises(DataError, match=r"pairs\.jsonl:7: 'strength' is 'much', no number"):
        example({**row, "strength": "much"}, **options)
    with pytest.raises(DataError, match="no ground truth"):
        example({**row, "strength": None}, **options)
