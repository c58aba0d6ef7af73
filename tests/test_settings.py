"""What every setting promises, over all that are registered: a new one is tested by being there."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from w2s_rm import catalog
from w2s_rm.errors import DataError, UnknownNameError
from w2s_rm.heads import HEADS
from w2s_rm.settings import SETTINGS, find_setting
from w2s_rm.types import Example

PAIRS = [(name, head) for name in SETTINGS for head in SETTINGS[name].heads]
# Texts that differ in case or white space alone may get the same reward; a move or a word to be written may not.
UNCHECKED = {("reward_modeling", "reward"), ("classification", "reward"), ("process", "reward")}


def ragged(count: int) -> list[Example]:
    """Examples with 2 to 40 candidates of one to four words, some with long prompts."""
    generator = random.Random(0)
    words = [f"w{number}" for number in range(60)]
    examples = []
    for number in range(count):
        k = generator.choice([2, 2, 3, 5, 17, 40])
        options: set[tuple[str, ...]] = set()
        while len(options) < k:
            options.add(tuple(generator.choices(words, k=generator.randint(1, 4))))
        prompt = " ".join(generator.choices(words, k=generator.choice([1, 4, 30])))
        candidates = tuple(" " + " ".join(option) for option in sorted(options))
        examples.append(Example(f"e{number}", f"g{number}", prompt, candidates, 0))
    return examples


def test_the_settings_that_must_be_there() -> None:
    assert {"reward_modeling", "classification", "chess"} <= set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_heads_are_known_and_each_stands_once(name: str) -> None:
    heads = SETTINGS[name].heads
    assert heads and set(heads) <= set(HEADS) and len(set(heads)) == len(heads)
    assert "reward" in heads, "every setting can be compared with reward modeling"


@pytest.mark.parametrize("task", catalog.names("tasks"))
def test_every_task_names_a_setting_with_a_head_that_fits(task: str) -> None:
    heads = find_setting(catalog.lookup("tasks", task).setting).heads
    assert any(not HEADS[head].needs_classes for head in heads), "candidates without a fixed meaning have a head too"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_row_of_the_table_fits_its_heads(name: str) -> None:
    setting = find_setting(name)
    assert setting.name == name and setting.about
    assert set(setting.distinct) <= set(setting.heads)
    assert setting.classes == any(HEADS[head].needs_classes for head in setting.heads)


@pytest.mark.parametrize("task", catalog.names("tasks"))
def test_only_settings_that_know_classes_have_tasks_with_some(task: str) -> None:
    kind = catalog.lookup("tasks", task)
    may = find_setting(kind.setting).classes
    assert may or getattr(kind, "classes", None) is None or isinstance(kind.classes, property)


def test_an_unknown_setting_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting 'ches'; did you mean 'chess'"):
        find_setting("ches")


@pytest.mark.parametrize(("name", "head"), PAIRS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_every_candidate_keeps_its_place_and_rows_fit(
    name: str, head: str, side: str, tiny_tokenizer: Callable[..., Any]
) -> None:
    examples = ragged(40)
    for max_length in (None, 24):
        encoded = SETTINGS[name].encode(tiny_tokenizer(side=side), examples, max_length, head)
        assert len(encoded) == len(examples)
        for example, row in zip(examples, encoded, strict=True):
            assert len(row.candidate_ids) == len(example.candidates)
            assert row.prompt_ids and all(bool(ids) != HEADS[head].needs_classes for ids in row.candidate_ids)
            longest = len(row.prompt_ids) + max(map(len, row.candidate_ids))
            assert max_length is None or longest <= max_length
            too_long = len(example.prompt.split()) + 5 > 24 if isinstance(example.prompt, str) else False
            assert (row.cut_prompt_tokens > 0) == (max_length is not None and too_long)


@pytest.mark.parametrize(("name", "head"), PAIRS)
def test_the_collator_of_the_head_takes_what_the_setting_gives(
    name: str, head: str, tiny_tokenizer: Callable[..., Any]
) -> None:
    examples = ragged(12)
    encoded = SETTINGS[name].encode(tiny_tokenizer(), examples, 24, head)
    rows = [
        {"prompt_ids": row.prompt_ids, "candidate_ids": row.candidate_ids, "targets": [1.0] + [0.0] * (k - 1)}
        for row, k in zip(encoded, (len(example.candidates) for example in examples), strict=True)
    ]
    batch = HEADS[head].collator(0, None)(rows)
    assert batch["mask"].sum(dim=1).tolist() == [len(example.candidates) for example in examples]
    assert batch["input_ids"].shape == batch["attention_mask"].shape


@pytest.mark.parametrize(("name", "head"), [pair for pair in PAIRS if pair[1] == "lm"])
def test_a_candidate_that_the_tokenizer_cannot_write(name: str, head: str, tiny_tokenizer: Callable[..., Any]) -> None:
    bad = Example("odd one", "g", "w1", (" w2", " qxz"), 0)
    with pytest.raises(DataError, match="example 'odd one': candidate ' qxz' has words that are not in the vocabulary"):
        SETTINGS[name].encode(tiny_tokenizer(), [*ragged(3), bad], None, head)


@pytest.mark.parametrize(("name", "head"), [pair for pair in PAIRS if not HEADS[pair[1]].needs_classes])
@pytest.mark.parametrize("candidates", [(" w2", " w2"), (" w2", " w3", " w2  "), (" qxz", " qxy")])
def test_candidates_of_the_same_tokens(
    name: str, head: str, candidates: tuple[str, ...], tiny_tokenizer: Callable[..., Any]
) -> None:
    bad = Example("twins", "g", "w1", candidates, 0)
    setting = SETTINGS[name]
    if (name, head) in UNCHECKED:
        assert setting.encode(tiny_tokenizer(), [bad], None, head)
        return
    with pytest.raises(DataError, match="example 'twins': candidates become the same tokens"):
        setting.encode(tiny_tokenizer(), [*ragged(3), bad], None, head)


def test_the_head_of_the_paper_comes_first() -> None:
    assert SETTINGS["classification"].heads[0] == "classification"
    assert SETTINGS["chess"].heads[0] == "lm"
    assert SETTINGS["reward_modeling"].heads == ("reward",)


def test_each_setting_asks_a_question_of_its_own() -> None:
    asked = [setting.question for setting in SETTINGS.values()]
    assert len(set(asked)) == len(asked) and all(question.endswith("?") for question in asked)
