"""The generic task for questions: columns by name, labels in any way that is unambiguous."""

import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks.multiple_choice import MultipleChoice
from w2s_rm.types import Row


def gold(label, choices=("silk", "honey", "salt"), **options):
    values = {"question": "What do bees make?", "choices": list(choices), "label": label}
    return MultipleChoice("mine.jsonl", **options).to_example(Row("mine.jsonl:2", values)).gold


@pytest.mark.parametrize("label", [1, "1", 1.0, "B", "b", "honey", " honey "])
def test_a_label_is_an_index_a_letter_or_a_text(label):
    assert gold(label) == 1


def test_a_label_with_two_meanings_needs_an_option():
    with pytest.raises(DataError, match=r"mine.jsonl:2: label '1' can be read in two ways .*set label_is"):
        gold("1", ("1", "2", "3"))
    assert gold("1", ("1", "2", "3"), label_is="text") == 0
    assert gold("1", ("1", "2", "3"), label_is="index") == 1
    # A number in JSON is an index, and where both readings agree there is no question.
    assert gold(1, ("1", "2", "3")) == 1
    assert gold("0", ("0", "1")) == 0


@pytest.mark.parametrize("label", [3, -1, "D", "wax", True, "1.5"])
def test_a_label_that_is_no_answer_is_an_error(label):
    with pytest.raises(DataError, match="^mine.jsonl:2: label .* is none of the 3 answers"):
        gold(label)


def test_named_answers_are_found_by_name():
    choices = {"text": ["silk", "honey"], "label": ["1", "2"]}
    row = Row("a", {"question": "What?", "choices": choices, "label": "2"})
    assert MultipleChoice("mine.jsonl").to_example(row).gold == 1


def test_columns_are_named_by_options():
    options = {
        "question_column": "q",
        "choice_columns": ["good", "bad"],
        "label_column": "right",
        "context_column": "passage",
        "group_column": "book",
        "id_column": "number",
    }
    values = {"q": "Who?", "good": "Ann", "bad": "Ben", "right": "A", "passage": "Ann sang.", "book": 7, "number": 31}
    example = MultipleChoice("mine.csv", **options).to_example(Row("a", values))
    assert (example.id, example.prompt) == ("31", "Ann sang.\nQuestion: Who?\nAnswer:")
    assert (example.candidates, example.gold) == ((" Ann", " Ben"), 0)
    other = MultipleChoice("mine.csv", **options).to_example(Row("a", {**values, "passage": "Ben sang.", "number": 32}))
    assert other.group == example.group
    with pytest.raises(DataError, match="^mine.csv:2: 'number' .id_column. is empty"):
        MultipleChoice("mine.csv", **options).to_example(Row("mine.csv:2", {**values, "number": None}))
    del values["bad"]
    with pytest.raises(DataError, match="^mine.csv:2: no column 'bad' .option choice_columns."):
        MultipleChoice("mine.csv", **options).to_example(Row("mine.csv:2", values))


def test_wrong_options_are_errors():
    with pytest.raises(ConfigError, match="label_is is 'number'; write index, letter, text"):
        MultipleChoice("mine.jsonl", label_is="number")
    with pytest.raises(ConfigError, match="names fewer than two columns"):
        MultipleChoice("mine.jsonl", choice_columns=["good"])
