"""The generic task for texts: columns and classes by name."""

import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks.text_classification import TextClassification
from w2s_rm.types import Row

NAMES = ["World", "sports", "business"]


def task(**options):
    return TextClassification("mine.jsonl", **options)


@pytest.mark.parametrize("label", [2, "2", 2.0, "business", "Business "])
def test_a_label_is_a_position_or_a_name(label):
    example = task(class_names=NAMES).to_example(Row("a", {"text": "Prices rise.", "label": label}))
    assert (example.candidates, example.gold) == ((" World", " sports", " business"), 2)


def test_numbers_as_names_are_names():
    assert task(class_names=["1", "2"]).to_example(Row("a", {"text": "Fine.", "label": 1})).gold == 0
    with pytest.raises(DataError, match="^mine.jsonl:4: label 0 in 'label' is outside 1, 2"):
        task(class_names=["1", "2"]).to_example(Row("mine.jsonl:4", {"text": "Fine.", "label": 0}))


def test_texts_and_question_make_the_prompt():
    columns = {"text_column": "a", "text_pair_column": "b", "group_column": "topic", "id_column": "n"}
    values = {"a": "One. ", "b": "Two.", "label": 1, "topic": "t", "n": 5}
    example = task(question="Do they agree?", **columns).to_example(Row("a", values))
    assert (example.prompt, example.id) == ("One.\nTwo.\nDo they agree?", "5")
    other = task(question="Do they agree?", **columns).to_example(Row("a", {**values, "a": "Three."}))
    assert other.group == example.group
    plain = task().to_example(Row("a", {"text": "One.", "label": "no"}))
    assert (plain.prompt, plain.gold, plain.candidates) == ("One.", 0, (" no", " yes"))


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["no"], "fewer than two"),
        (["no", "No "], "twice"),
        ([False, True], "in quotes"),
        (["no", " "], "no text"),
        ([], "fewer than two"),
    ],
)
def test_wrong_classes_are_errors(names, cause):
    with pytest.raises(ConfigError, match=f"class_names .*{cause}"):
        task(class_names=names)
