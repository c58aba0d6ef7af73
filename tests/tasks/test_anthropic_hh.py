"""Two transcripts become a prompt that ends in an assistant's mark, and what each says after it."""

import json
import logging

import pytest

from w2s_rm.data.reading import read_rows
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks.anthropic_hh import AnthropicHh
from w2s_rm.types import Row

START = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bees?\n\nAssistant:"
MESSAGES = (
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bees?"},
)


def example(chosen, rejected, **options):
    return AnthropicHh(**options).to_example(Row("hh:1", {"chosen": chosen, "rejected": rejected}))


def said(text):
    return {"role": "assistant", "content": text}


def test_text():
    one = example(START + " Honey", START + " Noise")
    assert (one.prompt, one.candidates, one.gold) == (START, (" Honey", " Noise"), 0)


def test_answers_that_begin_alike_stay_whole():
    one = example(START + " They make honey", START + " They make noise")
    assert one.candidates == (" They make honey", " They make noise")


def test_conversational():
    one = example(START + " Honey", START + " Noise", format="conversational")
    assert (one.prompt, one.candidates) == (MESSAGES, ((said("Honey"),), (said("Noise"),)))


def test_transcripts_that_part_earlier():
    chosen = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: A?\n\nAssistant: One"
    rejected = "\n\nHuman: Hi\n\nAssistant: Bye\n\nHuman: A?\n\nAssistant: One"
    one = example(chosen, rejected)
    assert one.prompt == "\n\nHuman: Hi\n\nAssistant:"
    assert [one.prompt + candidate for candidate in one.candidates] == [chosen, rejected]
    one = example(chosen, rejected, format="conversational")
    assert one.prompt == MESSAGES[:1]
    assert one.candidates[1] == (said("Bye"), {"role": "user", "content": "A?"}, said("One"))


def test_neighbouring_turns_of_one_role_are_one_message():
    start = "\n\nHuman: Hi\n\nHuman: there\n\nAssistant:"
    one = example(start + " a", start + " b", format="conversational")
    assert one.prompt == ({"role": "user", "content": "Hi\n\nthere"},)


def test_the_same_opening_is_the_same_group():
    short = "\n\nHuman: Hi\n\nAssistant:"
    one, other = example(START + " a", START + " b"), example(short + " Hello", short + " Bye")
    assert one.group == other.group and one.id != other.id
    assert one.group == example(START + " a", START + " b", format="conversational").group
    assert one.group != example("\n\nHuman: Ho\n\nAssistant: a", "\n\nHuman: Ho\n\nAssistant: b").group


UNUSABLE = [
    (START + " a", START + " a ", "with equal transcripts"),
    (START + " a", START, "with an empty response"),
    (START, START + " a", "with an empty response"),
    ("\n\nHuman: A\n\nAssistant: a", "\n\nHuman: B\n\nAssistant: a", "that share no"),
    ("no marks", "at all", "that share no"),
]


@pytest.mark.parametrize(("chosen", "rejected", "reason"), UNUSABLE)
def test_rows_that_are_no_comparison(chosen, rejected, reason):
    with pytest.raises(DataError, match=f"hh:1: {reason}"):
        example(chosen, rejected)


def test_other_cells():
    with pytest.raises(DataError, match=r"hh:1: 'chosen' is empty \(null\)"):
        example(None, START)
    with pytest.raises(DataError, match="hh:1: messages instead of transcripts"):
        example([said("a")], [said("b")])
    with pytest.raises(DataError, match="no column 'rejected'"):
        AnthropicHh().to_example(Row("hh:1", {"chosen": START}))
    with pytest.raises(ConfigError, match="write text or conversational"):
        AnthropicHh(format="chat")


def write(path, pairs):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"chosen": a, "rejected": b}) + "\n" for a, b in pairs))


def test_rows_leave_out_what_is_no_comparison_and_say_so(tmp_path, caplog):
    pairs = [(START + " a", START + " b"), *((a, b) for a, b, _ in UNUSABLE)]
    write(tmp_path / "harmless-base" / "train.jsonl", pairs)
    write(tmp_path / "harmless-base" / "test.jsonl", [(START + " c", START + " d")])
    folder = AnthropicHh(str(tmp_path), data_dir="harmless-base")
    with caplog.at_level(logging.WARNING):
        assert [folder.to_example(row).candidates for row in folder.rows()] == [(" a", " b")]
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "left out 2 rows with an empty response" in said and "left out 2 rows that share no" in said
    assert "left out 1 rows with equal transcripts" in said
    test = AnthropicHh(str(tmp_path), data_dir="harmless-base", split="test")
    assert [row.values["chosen"] for row in test.rows()] == [START + " c"]
    file = AnthropicHh(str(tmp_path / "harmless-base" / "train.jsonl"))
    assert len(list(file.rows())) == 1 and len(list(read_rows(file.path))) == 6
    assert len({folder.content_version(), file.content_version()}) == 2


def test_transcripts_that_are_null_or_blank_are_left_out(tmp_path, caplog):
    write(tmp_path / "pairs.jsonl", [(START + " a", START + " b"), (None, START + " b"), (START + " a", " ")])
    with caplog.at_level(logging.WARNING):
        assert len(list(AnthropicHh(str(tmp_path / "pairs.jsonl")).rows())) == 1
    assert "left out 2 rows with an empty transcript" in caplog.text


def test_hub_subset_is_asked_for(monkeypatch):
    import datasets

    asked = {}

    def load_dataset(*args, **kwargs):
        asked.update(kwargs, args=args)
        return datasets.Dataset.from_list([{"chosen": START + " a", "rejected": START + " b"}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    task = AnthropicHh(data_dir="harmless-base", revision="abc")
    assert len(list(task.rows())) == 1
    assert asked == {
        "args": ("Anthropic/hh-rlhf", None),
        "split": "train",
        "revision": "abc",
        "data_dir": "harmless-base",
    }
    assert task.content_version() == "hub:Anthropic/hh-rlhf@abc"
