"""RewardBench's rows become comparisons, as text or as a conversation."""

import json
import logging

import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks.reward_bench import RewardBench
from w2s_rm.types import Row

VALUES = {
    "prompt": "Bees?",
    "chosen": "Honey.",
    "rejected": "Noise.",
    "chosen_model": "a",
    "rejected_model": "b",
    "subset": "hep-go",
    "id": 3,
}


def example(task=None, **changes):
    return (task or RewardBench()).to_example(Row("bench:1", {**VALUES, **changes}))


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_text():
    one = example()
    assert (one.id, one.prompt, one.candidates, one.gold) == ("hep-go/3", "Bees?\n\n", ("Honey.", "Noise."), 0)
    transcripts = RewardBench(prefix="\n\nHuman: ", separator="\n\nAssistant: ")
    assert example(transcripts).prompt == "\n\nHuman: Bees?\n\nAssistant: "


def test_conversational():
    task = RewardBench(format="conversational")
    one = example(task)
    assert one.prompt == ({"role": "user", "content": "Bees?"},)
    assert one.candidates == (
        ({"role": "assistant", "content": "Honey."},),
        ({"role": "assistant", "content": "Noise."},),
    )
    turns = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    assert example(task, prompt=turns).prompt == tuple(turns)
    with pytest.raises(DataError, match="^bench:1: 'prompt' is a conversation that does not end with .* user"):
        example(task, prompt=turns[:2])


def test_the_same_prompt_is_the_same_group():
    assert example().group == example(chosen="Wax.", id=4).group != example(prompt="Ants?").group


def test_equal_numbers_in_two_subsets_are_two_examples():
    assert example().id != example(subset="hep-js").id


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": [{"role": "user", "content": "Bees?"}]}, "set format=conversational"),
        ({"chosen": [{"role": "assistant", "content": "Honey."}]}, "'chosen' is a list of messages"),
        ({"rejected": None}, "'rejected' is empty"),
        ({"rejected": " "}, "response 2 is empty"),
        ({"rejected": "Honey."}, "responses are identical"),
        ({"id": None}, "'id' is empty"),
        ({"id": float("nan")}, "'id' is empty"),
    ],
)
def test_rows_that_are_no_comparison(changes, text):
    with pytest.raises(DataError, match=f"^bench:1: .*{text}"):
        example(**changes)


def test_rows_of_a_file_without_those_that_are_no_comparison(tmp_path, caplog):
    path = write(
        tmp_path / "bench.jsonl",
        [
            VALUES,
            {**VALUES, "rejected": None, "id": 7},
            {**VALUES, "prompt": " "},
            {**VALUES, "rejected": "", "id": 4},
            {**VALUES, "rejected": "Honey.", "id": 5},
            {**VALUES, "id": 6},
        ],
    )
    with caplog.at_level(logging.WARNING):
        assert [row.values["id"] for row in RewardBench(path).rows()] == [3, 6]
    assert "left out 2 rows with an empty response" in caplog.text
    assert "left out 1 rows with an empty prompt" in caplog.text
    assert "left out 1 rows with two equal responses" in caplog.text


def test_a_missing_column_is_named_before_any_example(tmp_path):
    path = write(tmp_path / "bench.jsonl", [{key: value for key, value in VALUES.items() if key != "subset"}])
    with pytest.raises(DataError, match=r"bench.jsonl:1: no column 'subset'"):
        list(RewardBench(path).rows())


def test_the_benchmark_is_its_filtered_split(monkeypatch):
    asked = []
    monkeypatch.setattr("w2s_rm.tasks.reward_bench.read_rows", lambda *a, **k: asked.append((a, k)) or iter([]))
    for options in ({}, {"split": "raw", "revision": "r"}, {"path": "other/bench"}):
        assert not list(RewardBench(**options).rows())
    assert asked == [
        (("allenai/reward-bench", "filtered"), {"revision": None}),
        (("allenai/reward-bench", "raw"), {"revision": "r"}),
        (("other/bench", None), {"revision": None}),
    ]


def test_wrong_options():
    with pytest.raises(ConfigError, match="format is 'chat'"):
        RewardBench(format="chat")
    with pytest.raises(ConfigError, match="a chat template has its own"):
        RewardBench(format="conversational", separator="\n")
