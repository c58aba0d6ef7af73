"""Questions with answers, in both forms."""

from collections import Counter

import pytest

from w2s_rm.data.examples import hash_order
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._choices import Question, shown_answer
from w2s_rm.tasks.arc_easy import ArcEasy
from w2s_rm.tasks.cosmos_qa import CosmosQa
from w2s_rm.tasks.hellaswag import Hellaswag
from w2s_rm.tasks.multiple_choice import MultipleChoice
from w2s_rm.tasks.openbookqa import Openbookqa
from w2s_rm.tasks.sciq_with_support import SciqWithSupport
from w2s_rm.types import Row

FLAT = {"question": "What do bees make?", "choices": ["silk", "honey", "salt"], "label": 1}


def row(**values):
    return Row("rows.jsonl:3", {**FLAT, **values})


def test_choice_asks_and_binary_shows_one_answer():
    choice = ArcEasy(form="choice").to_example(row())
    assert choice.prompt == "Question: What do bees make?\nAnswer:"
    assert (choice.candidates, choice.gold) == ((" silk", " honey", " salt"), 1)
    binary = ArcEasy(form="binary").to_example(row())
    shown = binary.prompt.removeprefix("Question: What do bees make?\nAnswer: ").removesuffix("\nIs this answer right?")
    assert shown in FLAT["choices"] and binary.gold == int(shown == "honey")
    assert binary.candidates == (" no", " yes")
    assert choice.group == binary.group


def test_context_comes_first_and_makes_the_group():
    first = Question("Why?", ("a", "b"), 0, context="A passage.")
    second = Question("Who?", ("a", "b"), 0, context="A passage.")
    assert first.prompt == "A passage.\nQuestion: Why?\nAnswer:"
    assert first.group_key == second.group_key
    assert Question("Why?", ("a", "b"), 0).group_key != Question("Who?", ("a", "b"), 0).group_key


def test_the_position_of_the_right_answer_changes_nothing():
    for form in ("binary", "choice"):
        task = ArcEasy(form=form)
        one = task.to_example(row())
        two = task.to_example(row(choices=["honey", "salt", "silk"], label=0))
        assert hash_order(one) == hash_order(two)


def test_every_answer_is_shown_with_its_share():
    shown = Counter()
    for number in range(3000):
        question = Question(f"What is {number}?", ("a", "b", "c", "d"), number % 4)
        answer = shown_answer(question)
        shown["right" if answer == question.gold else (answer - question.gold) % 4] += 1
    # Half are right; the rest is shared by three: 500 each, standard error 20.
    assert abs(shown["right"] - 1500) < 120
    assert all(abs(shown[distance] - 500) < 100 for distance in (1, 2, 3))


def test_which_answer_is_shown_does_not_say_which_is_right():
    # Were the choice a function of the answers alone, each answer would be right whenever it is shown, or never.
    golds = Counter()
    for number in range(1000):
        question = Question(f"What is {number}?", ("a", "b"), number % 2)
        shown = shown_answer(question)
        golds[question.answers[shown], int(shown == question.gold)] += 1
    assert all(180 < golds[answer, gold] < 320 for answer in "ab" for gold in (0, 1))


def test_hub_and_flat_layouts_are_the_same_question():
    hub = {"question_stem": FLAT["question"], "choices": {"text": FLAT["choices"], "label": ["A", "B", "C"]}}
    one = Openbookqa(form="choice").to_example(Row("a", {**hub, "answerKey": "B"}))
    assert one == Openbookqa(form="choice").to_example(row())
    numbered = {"question": FLAT["question"], "choices": {"text": FLAT["choices"], "label": ["1", "2", "3"]}}
    assert ArcEasy().to_example(Row("a", {**numbered, "answerKey": "2"})) == ArcEasy().to_example(row())


def test_an_ending_goes_on_in_the_same_line():
    example = Hellaswag(form="choice").to_example(Row("a", Hellaswag.example_row))
    assert example.prompt + example.candidates[0] == "A woman opens a hive. She lifts out a comb."
    shown = Hellaswag().to_example(Row("a", Hellaswag.example_row))
    assert shown.prompt.startswith("A woman opens a hive. She ") and shown.prompt.endswith(
        "\nIs this the right ending?"
    )
    other = {**Hellaswag.example_row, "ctx": "A bee lands. It", "source_id": "video~1"}
    same = {**Hellaswag.example_row, "source_id": "video~1"}
    assert Hellaswag().to_example(Row("a", other)).group == Hellaswag().to_example(Row("a", same)).group


def test_none_of_the_above_is_never_shown_alone():
    values = CosmosQa.example_row
    for number in range(60):
        numbered = Row("a", {**values, "question": f"Why did I close it {number}?"})
        assert "None of the above" not in CosmosQa().to_example(numbered).prompt
    assert len(CosmosQa(form="choice").to_example(Row("a", values)).candidates) == 4
    none_right = Row("a", {**values, "label": 3})
    assert "none of the above" in CosmosQa().left_out(none_right)
    assert CosmosQa(form="choice").left_out(none_right) is None


def test_questions_without_support_are_left_out():
    values = SciqWithSupport.example_row
    assert SciqWithSupport().left_out(Row("a", {**values, "support": " "})) == "with a blank 'support'"
    assert SciqWithSupport().left_out(Row("a", values)) is None


@pytest.mark.parametrize(
    ("choices", "cause"),
    [
        (["honey"], "a question with 1 answers, at least two are needed"),
        (["honey", "silk", " honey "], "a question with two equal answers"),
        (["honey", "silk", " "], "a question with an empty answer"),
        (["honey", "silk", None], "'choices'.2. is empty .null."),
        ("honey", "'choices' is str, not a list of answers"),
        ({"text": ["honey", "silk"]}, "'choices' has not one 'label' for each 'text'"),
        ({"text": ["honey", "silk"], "label": ["0"]}, "'choices' has not one 'label' for each 'text'"),
    ],
)
@pytest.mark.parametrize("form", ["binary", "choice"])
def test_a_bad_question_is_an_error_that_names_the_row(choices, cause, form):
    with pytest.raises(DataError, match=f"^rows.jsonl:3: {cause}"):
        ArcEasy(form=form).to_example(row(choices=choices, label=0))


def test_published_questions_with_equal_answers_are_left_out_but_your_own_are_not():
    equal = row(choices=["honey", "silk", "silk"], label=0)
    assert ArcEasy().left_out(equal) == "(a question with two equal answers)"
    assert MultipleChoice("mine.jsonl").left_out(equal) is None
    # What else is wrong is left to `to_example`, which names the row.
    assert ArcEasy().left_out(row(label=9)) is None


def test_an_unknown_form_is_an_error():
    with pytest.raises(ConfigError, match="form is 'letters'; write binary or choice"):
        ArcEasy(form="letters")
