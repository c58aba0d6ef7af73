"""What single tasks with classes make of their columns."""

import json
from itertools import product

import pytest

from w2s_rm.errors import DataError
from w2s_rm.programs.prepare import read_task
from w2s_rm.tasks.amazon_polarity import AmazonPolarity
from w2s_rm.tasks.anli_r2 import AnliR2
from w2s_rm.tasks.anthropic_hh_pointwise import AnthropicHhPointwise
from w2s_rm.tasks.boolq import Boolq
from w2s_rm.tasks.ethics_justice import EthicsJustice
from w2s_rm.tasks.ethics_utilitarianism import EthicsUtilitarianism
from w2s_rm.tasks.ethics_virtue import EthicsVirtue
from w2s_rm.tasks.multirc import Multirc
from w2s_rm.tasks.paws import Paws
from w2s_rm.tasks.sst2 import Sst2, _phrases
from w2s_rm.types import Row


def example(task, **values):
    return task.to_example(Row("rows.jsonl:3", {**task.example_row, **values}))


def test_boolq_with_and_without_its_passage():
    values = {"question": "do bees make honey?", "passage": "Bees make honey.", "answer": True}
    open_book = Boolq().to_example(Row("a", values))
    assert (open_book.prompt, open_book.gold) == ("Bees make honey.\nQuestion: do bees make honey?\nAnswer:", 1)
    closed = Boolq(closed_book=True).to_example(Row("a", values))
    assert closed.prompt == "Question: do bees make honey?\nAnswer:"
    # Questions on one passage stay together, shown or not.
    assert closed.group == open_book.group == example(Boolq(), passage="Bees make honey.", question="what?").group
    del values["passage"]
    assert Boolq().to_example(Row("a", values)).prompt == closed.prompt


def test_anli_asks_for_entailment():
    assert [example(AnliR2(), label=label).gold for label in (0, 1, 2)] == [1, 0, 0]


def test_justice_groups_by_the_first_six_words():
    one = example(EthicsJustice(), scenario="I usually walk with my friend but today I ran.")
    two = example(EthicsJustice(), scenario="I usually walk with my Friend, but he moved.")
    three = example(EthicsJustice(), scenario="I usually walk with my friend, since he sings.")
    assert two.group == three.group != one.group


def test_virtue_splits_scene_and_trait():
    virtue = example(EthicsVirtue(), scenario="Ann ran. [SEP] brave")
    assert virtue.prompt == "Ann ran.\nDoes this show the trait brave?"
    assert virtue.group == example(EthicsVirtue(), scenario="Ann ran. [SEP] lazy").group
    with pytest.raises(DataError, match=r"^rows.jsonl:3: 'scenario' is not a scene, \[SEP\] and a trait"):
        example(EthicsVirtue(), scenario="Ann ran.")


def test_utilitarianism_shows_a_pair_in_one_order_whichever_is_better():
    one = EthicsUtilitarianism().to_example(Row("a", {"baseline": "I swam.", "less_pleasant": "I fell."}))
    two = EthicsUtilitarianism().to_example(Row("a", {"chosen": "I fell.", "rejected": "I swam."}))
    assert (one.id, one.prompt) == (two.id, two.prompt)
    assert {one.gold, two.gold} == {0, 1}
    with pytest.raises(DataError, match="^rows.jsonl:3: the two scenarios are equal"):
        example(EthicsUtilitarianism(), baseline="I fell.", less_pleasant="I fell.")


def test_utilitarianism_keeps_scenarios_with_the_same_beginning_together():
    """The worse scenario of one pair is the better one of another, and mostly its beginning."""
    chain = ["I went to the store and met Ann.", "I went to the store today.", "I went to the store in rain."]
    groups = {
        example(EthicsUtilitarianism(), baseline=better, less_pleasant=worse).group
        for better, worse in zip(chain, chain[1:], strict=False)
    }
    other = example(EthicsUtilitarianism(), baseline="I went to the bank today.", less_pleasant=chain[0])
    assert len(groups) == 1 and other.group not in groups


def test_pointwise_shows_one_transcript_whichever_was_preferred():
    a, b = "\n\nHuman: Hi\n\nAssistant: Yes.", "\n\nHuman: Hi\n\nAssistant: No."
    one = AnthropicHhPointwise().to_example(Row("a", {"chosen": a, "rejected": b}))
    two = AnthropicHhPointwise().to_example(Row("a", {"chosen": b, "rejected": a}))
    assert (one.id, one.prompt, one.group) == (two.id, two.prompt, two.group)
    assert {one.gold, two.gold} == {0, 1}
    equal = Row("rows.jsonl:3", {"chosen": a, "rejected": a})
    assert AnthropicHhPointwise().left_out(equal) == "(equal transcripts)"
    with pytest.raises(DataError, match="^rows.jsonl:3: the two transcripts are equal"):
        AnthropicHhPointwise().to_example(equal)


def test_paws_groups_sentences_of_the_same_words():
    one = example(Paws(), sentence1="The bee met the wasp .")
    assert one.group == example(Paws(), sentence1="The wasp met the bee .").group


def test_a_review_may_go_without_a_title():
    assert example(AmazonPolarity(), title=None).prompt == example(AmazonPolarity(), title=" ").prompt
    assert example(AmazonPolarity(), title="").prompt.startswith("The best honey")


def test_a_title_that_is_nan_is_none():
    assert example(AmazonPolarity(), title=float("nan")).prompt == example(AmazonPolarity(), title="").prompt


def test_transcripts_that_differ_in_white_space_alone_are_left_out():
    same = {**AnthropicHhPointwise.example_row, "rejected": AnthropicHhPointwise.example_row["chosen"] + " \n"}
    assert AnthropicHhPointwise().left_out(Row("a", same)) == "(equal transcripts)"
    with pytest.raises(DataError, match="^a: the two transcripts are equal"):
        AnthropicHhPointwise().to_example(Row("a", same))


def test_phrases_stand_inside_longer_texts_as_whole_words():
    words = "abc"
    texts = {tuple(text) for n in (1, 2, 3, 4) for text in product(words, repeat=n) if sum(map(ord, text)) % 3 == 0}

    def inside(part, whole):
        starts = range(len(whole) - len(part) + 1)
        return len(part) < len(whole) and any(whole[k : k + len(part)] == part for k in starts)

    expected = {part for part in texts if any(inside(part, whole) for whole in texts)}
    assert 0 < len(expected) < len(texts)
    assert _phrases(texts) == expected
    assert _phrases({("art",), ("party", "time"), ("time", "party")}) == set()


def test_left_out_phrases_and_blanks_are_counted(tmp_path):
    sentences = ["a warm film about bees", "warm film", "film about", "a cold film", "", None]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"sentence": said, "label": 1}) + "\n" for said in sentences), encoding="utf-8")
    read = read_task(Sst2(str(path)), "sst2")
    assert [example.prompt.split("\n")[0] for example in read.examples] == [sentences[0], sentences[3]]
    assert read.left_out["that are phrases of other rows"] == 2 and sum(read.left_out.values()) == 4


@pytest.mark.parametrize("column", ["paragraph", "question", "answer"])
def test_multirc_leaves_out_rows_with_blank_cells_and_counts_them(column, tmp_path, caplog):
    rows = [dict(Multirc.example_row), {**Multirc.example_row, column: "  "}, dict(Multirc.example_row)]
    path = tmp_path / "multirc.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = Multirc(path=str(path))
    assert len([task.to_example(row) for row in task.rows()]) == 2
    assert f"left out 1 rows with a blank {column!r}" in caplog.text
