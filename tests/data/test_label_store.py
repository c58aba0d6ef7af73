"""Labels join by id and candidate id or not at all, and leave as a dataset that TRL trains on."""

import math

import pytest

from w2s_rm.data.examples import hash_order
from w2s_rm.data.label_files import loose_ids
from w2s_rm.data.label_store import (
    WeakLabel,
    join_labels,
    labelled,
    read_labels,
    to_trl_rows,
    write_labels,
    write_trl_dataset,
)
from w2s_rm.errors import DataError
from w2s_rm.types import Example


def example(i, candidates=(" yes", " no")):
    return hash_order(Example(f"id{i}", f"g{i}", f"Is it {i}?", tuple(f"{text} {i}" for text in candidates), 0))


def label(one, values=(0.75, 0.25)):
    return WeakLabel(one.id, one.candidate_ids, values)


def talk(role, content):
    return ({"role": role, "content": content},)


EXAMPLES = [example(i) for i in range(6)]


def test_labels_follow_the_candidates_not_the_positions():
    one, two = EXAMPLES[:2]
    labels = [label(two), WeakLabel(one.id, one.candidate_ids[::-1], (0.125, 0.875))]
    assert join_labels([one, two], labels) == [(0.875, 0.125), (0.75, 0.25)]


def test_more_than_two_candidates():
    one = example(1, (" a", " b", " c"))
    order = (2, 0, 1)
    shuffled = WeakLabel(one.id, tuple(one.candidate_ids[k] for k in order), (0.5, 0.25, 0.25))
    assert join_labels([one], [shuffled]) == [(0.25, 0.25, 0.5)]


def test_which_examples_are_labelled():
    by_content = WeakLabel(*loose_ids(EXAMPLES[4].prompt, EXAMPLES[4].candidates), (0.5, 0.5))
    given = [label(EXAMPLES[2]), by_content, WeakLabel("nobody", ("a", "b"), (0.5, 0.5))]
    assert labelled(EXAMPLES, given) == [EXAMPLES[2], EXAMPLES[4]]


def test_all_problems_at_once_with_their_ids():
    good, missing, twice, high, nan, total = EXAMPLES
    labels = [
        label(good),
        label(twice),
        label(twice),
        label(high, (1.5, -0.5)),
        label(nan, (math.nan, 0.5)),
        label(total, (0.5, 0.4998)),
        WeakLabel("nobody", ("a", "b"), (0.5, 0.5)),
    ]
    with pytest.raises(DataError) as raised:
        join_labels(EXAMPLES, labels, source="labels.csv")
    message = str(raised.value)
    assert message.startswith("labels.csv: do not fit the 6 examples")
    for line in (
        f"id {missing.id!r}: no label",
        f"id {twice.id!r}: 2 labels",
        f"id {high.id!r}: probability 1.5 is not in [0, 1]",
        f"id {nan.id!r}: probability nan is not in [0, 1]",
        f"id {total.id!r}: probabilities sum to 0.9998, not 1",
        "id 'nobody': unknown, no example has it",
    ):
        assert f"- {line}" in message
    assert repr(good.id) not in message and message.count("\n") == 6


def test_two_names_of_one_example_are_two_labels():
    """By its id and by its content; which of the two is meant nobody knows."""
    one = EXAMPLES[0]
    by_content = WeakLabel(*loose_ids(one.prompt, one.candidates), (0.2, 0.8))
    assert join_labels([one], [by_content]) == [(0.2, 0.8)]
    with pytest.raises(DataError, match=f"id {one.id!r}: 2 labels, as"):
        join_labels([one], [label(one), by_content])


def test_candidates_must_be_those_of_the_example():
    one = EXAMPLES[0]
    a, b = one.candidate_ids
    for ids, message in (
        ((a, "x"), "unknown candidates x"),
        ((a, a), "a candidate occurs twice"),
        ((a, b, "x"), "3 candidates, 2 probabilities"),
    ):
        with pytest.raises(DataError, match=f"'id0': {message}"):
            join_labels([one], [WeakLabel(one.id, ids, (0.5, 0.5))])
    with pytest.raises(DataError, match=f"no probability for candidates {b}"):
        join_labels([one], [WeakLabel(one.id, (a,), (1.0,))])


def test_sums_within_rounding_pass():
    assert join_labels(EXAMPLES[:1], [label(EXAMPLES[0], (0.33333, 0.66666))]) == [(0.33333, 0.66666)]


def test_labels_of_other_splits_are_ignored_when_named():
    one, other = EXAMPLES[:2]
    assert join_labels([one], [label(one), label(other)], others=[other]) == [(0.75, 0.25)]
    with pytest.raises(DataError, match="'id1': unknown"):
        join_labels([one], [label(one), label(other)])


def test_a_trl_file_joins_by_content(tmp_path):
    path = tmp_path / "mine.jsonl"
    # As the supervisor got them: no separator, chosen by the supervisor, no ids.
    path.write_text('{"prompt": "Is it 1?", "chosen": "no 1", "rejected": "yes 1", "chosen_probability": 0.875}\n')
    one = EXAMPLES[1]
    (joined,) = join_labels([one], read_labels(path))
    assert joined[one.candidates.index(" no 1")] == 0.875
    assert joined[one.candidates.index(" yes 1")] == 0.125


def test_trl_rows_are_in_the_supervisors_order():
    one, two, three = EXAMPLES[:3]
    rows = to_trl_rows(
        [one, two, three], [label(one, (0.25, 0.75)), label(two, (0.875, 0.125)), label(three, (0.5, 0.5))]
    )
    assert rows[0] == {
        "id": "id0",
        "prompt": "Is it 0?",
        "chosen": one.candidates[1],
        "rejected": one.candidates[0],
        "chosen_probability": 0.75,
    }
    assert [row["chosen_probability"] for row in rows] == [0.75, 0.875, 0.5]
    assert [row["chosen"] for row in rows[1:]] == [two.candidates[0], three.candidates[0]]


def test_trl_rows_need_pairs_of_one_kind():
    with pytest.raises(DataError, match="two candidates"):
        to_trl_rows([example(1, (" a", " b", " c"))], [])
    chat = Example("c", "g", talk("user", "Q"), (talk("assistant", "a"), talk("assistant", "b")), 0)
    with pytest.raises(DataError, match="some examples are text and some conversations"):
        to_trl_rows([EXAMPLES[0], chat], [label(EXAMPLES[0]), label(chat)])


def test_no_row_has_an_empty_conversation_as_prompt():
    answers = (talk("assistant", "a"), talk("assistant", "b"))
    both = [Example("1", "g", talk("user", "Q"), answers, 0), Example("2", "g", (), answers, 0)]
    rows = to_trl_rows(both, [label(one) for one in both])
    assert [sorted(row) for row in rows] == [["chosen", "chosen_probability", "id", "rejected"]] * 2
    assert rows[0]["chosen"] == [*talk("user", "Q"), *answers[0]] and rows[1]["rejected"] == [*answers[1]]


@pytest.fixture(params=["text", "conversation", "conversation without prompt"])
def pairs(request):
    if request.param == "text":
        return EXAMPLES
    some = request.param == "conversation without prompt"
    answers = [tuple(talk("assistant", f"{word} {i}") for word in ("yes", "no")) for i in range(6)]
    return [
        Example(f"c{i}", "g", () if some and i == 3 else talk("user", "Q"), both, 0) for i, both in enumerate(answers)
    ]


def test_written_dataset_loads_and_joins_again(tmp_path, pairs):
    datasets = pytest.importorskip("datasets")
    labels = [label(one, (0.25, 0.75) if i % 2 else (0.625, 0.375)) for i, one in enumerate(pairs)]
    rows = to_trl_rows(pairs, labels)
    write_trl_dataset(tmp_path / "data", rows)
    loaded = datasets.load_dataset(str(tmp_path / "data"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.to_list() == rows
    assert join_labels(pairs, read_labels(tmp_path / "data")) == join_labels(pairs, labels)


def test_trl_trains_on_it_as_it_is(tmp_path, pairs):
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: i for i, word in enumerate(["[pad]", "[eos]", "[unk]", "yes", "no", "Q", "Is", "it", "?", "user"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[unk]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[pad]", eos_token="[eos]")
    fast.chat_template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    write_trl_dataset(tmp_path / "data", to_trl_rows(pairs, [label(one) for one in pairs]))
    rows = datasets.load_dataset(str(tmp_path / "data"), split="train", cache_dir=str(tmp_path / "cache"))
    model = transformers.LlamaForSequenceClassification(
        transformers.LlamaConfig(
            vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_labels=1,
            pad_token_id=0, eos_token_id=1,
        )
    )  # fmt: skip
    config = trl.RewardConfig(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=6, report_to="none", use_cpu=True, bf16=False
    )
    trainer = trl.RewardTrainer(model, config, train_dataset=rows, processing_class=fast)
    assert len(trainer.train_dataset) == 6
    assert 0 < trainer.train().training_loss < 3


def test_store_on_disk_feeds_the_join(tmp_path):
    write_labels(tmp_path / "weak_labels.parquet", [label(one) for one in reversed(EXAMPLES)])
    assert join_labels(EXAMPLES, read_labels(tmp_path / "weak_labels.parquet")) == [(0.75, 0.25)] * 6


def test_labels_of_other_splits_must_be_probabilities_too() -> None:
    wanted = Example("a", "g", "p", ("x", "y"), 0)
    other = Example("b", "h", "q", ("x", "y"), 1)
    labels = [WeakLabel("a", wanted.candidate_ids, (0.3, 0.7)), WeakLabel("b", other.candidate_ids, (1.5, -0.5))]
    with pytest.raises(DataError, match="'b'.*1.5"):
        join_labels([wanted], labels, others=[other])
