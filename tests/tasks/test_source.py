"""Cells, labels, where rows come from, and which are left out."""

import json

import pytest

from w2s_rm import catalog
from w2s_rm.errors import DataError
from w2s_rm.tasks import _source
from w2s_rm.tasks._source import Hub, label, label_key, one_of, text
from w2s_rm.tasks.anthropic_hh_pointwise import AnthropicHhPointwise
from w2s_rm.tasks.boolq import Boolq
from w2s_rm.tasks.ethics_justice import EthicsJustice
from w2s_rm.tasks.twitter_sentiment import TwitterSentiment
from w2s_rm.types import Row


def row(**values):
    return Row("rows.jsonl:3", values)


@pytest.mark.parametrize(
    ("value", "key"),
    [(True, "true"), (1, "1"), (1.0, "1"), (0.5, "0.5"), (" Yes ", "yes"), (None, ""), (float("nan"), "")],
)
def test_labels_are_read_however_files_write_them(value, key):
    assert label_key(value) == key


def test_a_label_is_a_class():
    assert [label(row(label=value), "label") for value in (0, "1", False, "True", 1.0)] == [0, 1, 0, 1, 1]
    assert label(row(kind="B"), "kind", {"a": 0, "b": 1}) == 1


def test_a_label_outside_the_classes_names_them():
    with pytest.raises(DataError, match=r"^rows.jsonl:3: label 2 in 'label' is outside 0, 1, .*correct it or drop"):
        label(row(label=2), "label")
    with pytest.raises(DataError, match="^rows.jsonl:3: no label in 'label'; .*split that has labels"):
        label(row(label=None), "label")


def test_text_is_stripped_and_never_empty():
    assert text(row(question=" why?\n"), "question") == "why?"
    with pytest.raises(DataError, match="^rows.jsonl:3: 'question' is empty"):
        text(row(question=" \n"), "question")
    with pytest.raises(DataError, match="^rows.jsonl:3: 'question' is empty .null."):
        text(row(question=None), "question")
    with pytest.raises(DataError, match="^rows.jsonl:3: 'question' is int"):
        text(row(question=7), "question")
    with pytest.raises(DataError, match="^rows.jsonl:3: no column 'text' .option text_column.; did you mean 'texts'"):
        text(row(texts="a"), "text", "text_column")


def test_one_of_takes_the_first_there_is():
    assert one_of(row(question="a", question_stem="b"), "question_stem", "question") == "question_stem"
    assert one_of(row(question="a"), "question_stem", "question") == "question"


def asked(task, monkeypatch):
    """What a task would read, without reading."""
    calls = []
    monkeypatch.setattr(_source, "read_rows", lambda *places, **options: calls.append((places, options)) or iter(()))
    list(task.rows())
    (((path, split), options),) = calls
    return path, split, options["config_name"], options["data_dir"], options["revision"]


def test_the_hub_dataset_is_read_where_its_labels_are(monkeypatch):
    assert asked(Boolq(), monkeypatch) == ("google/boolq", "train+validation", None, None, None)
    converted = "refs/convert/parquet"
    assert asked(EthicsJustice(), monkeypatch)[1:] == ("train+validation+test", None, "justice", converted)
    assert asked(Boolq(split="train", revision="abc"), monkeypatch)[1:] == ("train", None, None, "abc")
    assert asked(AnthropicHhPointwise(data_dir="harmless-base"), monkeypatch)[3] == "harmless-base"


def test_a_configuration_of_the_user_has_no_folder_and_a_revision_keeps_it(monkeypatch):
    # A commit pinned on the branch that has the folder still has it.
    assert asked(EthicsJustice(revision="main"), monkeypatch)[3:] == ("justice", "main")
    assert asked(EthicsJustice(config_name="justice"), monkeypatch)[2:4] == ("justice", None)


def test_nothing_of_the_hub_is_assumed_for_another_place(monkeypatch):
    assert asked(EthicsJustice(path="mine.jsonl"), monkeypatch) == ("mine.jsonl", None, None, None, None)
    assert asked(EthicsJustice(path="someone/ethics"), monkeypatch) == ("someone/ethics", None, None, None, None)


def test_content_version_names_the_branch_that_is_read():
    assert EthicsJustice().content_version() == "hub:hendrycks/ethics@refs/convert/parquet"
    assert Boolq(revision="abc").content_version() == "hub:google/boolq@abc"
    assert EthicsJustice().place == Hub(
        "hendrycks/ethics", "train+validation+test", data_dir="justice", revision="refs/convert/parquet"
    )


def test_rows_left_out_are_counted(tmp_path, caplog):
    path = tmp_path / "tweets.jsonl"
    tweets = [{"text": f"tweet {number}", "label": number % 3} for number in range(7)]
    path.write_text("".join(json.dumps(tweet) + "\n" for tweet in tweets))
    task = TwitterSentiment(str(path))
    with caplog.at_level("WARNING"):
        examples = [task.to_example(row) for row in task.rows()]
    # Of the labels 0 1 2 0 1 2 0 two are neutral.
    assert [example.gold for example in examples] == [0, 1, 0, 1, 0]
    assert "left out 2 rows (neutral)" in caplog.text


@pytest.mark.parametrize("name", ["anthropic_hh", "anthropic_hh_pointwise", "reward_bench"])
def test_a_dataset_of_which_no_row_is_left_says_so(name, tmp_path):
    task_class = catalog.lookup("tasks", name)
    equal = {**task_class.example_row, "chosen": "the same", "rejected": "the same"}
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(equal) + "\n")
    with pytest.raises(DataError, match=r"pairs.jsonl: no row is left \(1 .*equal .*choose the task"):
        list(task_class(str(path)).rows())


def test_balance_can_be_switched_off():
    assert Boolq().balanced and not Boolq(balance=False).balanced
    assert Boolq(balance=False).classes == (" no", " yes")
