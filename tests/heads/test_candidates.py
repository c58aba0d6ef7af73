"""What each head reads of an example, and candidates that a tokenizer cannot write or tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS
from w2s_rm.types import Example

EXAMPLE = Example("one", "g", "w1 w2", (" w3", " w4 w5", " w4"), 0)


def spoken(text: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": text},)


def check(head: str, tokenizer: Any, *examples: Example, max_length: int | None = None) -> None:
    HEADS[head].check_candidates(tokenizer, examples, HEADS[head].encode(tokenizer, examples, max_length))


def test_each_head_reads_its_own_tokens(tiny_tokenizer: Callable[..., Any]) -> None:
    tokenizer = tiny_tokenizer()
    read = {}
    for head in ("reward", "classification", "lm"):
        (row,) = HEADS[head].encode(tokenizer, [EXAMPLE], None)
        assert tokenizer.convert_ids_to_tokens(row.prompt_ids) == ["w1", "w2"]
        read[head] = [" ".join(tokenizer.convert_ids_to_tokens(ids)) for ids in row.candidate_ids]
    assert read == {
        "reward": ["w3 <eos>", "w4 w5 <eos>", "w4 <eos>"],
        "classification": ["", "", ""],
        "lm": ["w3", "w4 w5", "w4"],
    }


def test_a_language_model_head_takes_no_conversations(tiny_tokenizer: Callable[..., Any]) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    talk = Example("talk", "g", spoken("w1"), (spoken("w2"), spoken("w3")), 0)
    with pytest.raises(DataError, match="head lm scores plain text.*conversations: talk"):
        HEADS["lm"].encode(tokenizer, [talk], None)
    assert HEADS["reward"].encode(tokenizer, [talk], None)[0].candidate_ids == [[5], [6]]


def test_words_that_a_tokenizer_does_not_have(tiny_tokenizer: Callable[..., Any]) -> None:
    odd = Example("odd", "g", "w1", (" w2", " e2e4", " w3 e7e5"), 0)
    with pytest.raises(DataError) as raised:
        check("lm", tiny_tokenizer(), EXAMPLE, odd)
    message = str(raised.value)
    assert "example 'odd': candidate ' e2e4' has words that are not in the vocabulary" in message
    assert "candidate ' w3 e7e5'" in message and "'one'" not in message
    # Other heads read no probabilities of words: one unknown word among known ones is still a text of its own.
    check("classification", tiny_tokenizer(), odd)
    check("reward", tiny_tokenizer(), odd)


@pytest.mark.parametrize("head", ["lm", "reward"])
def test_candidates_that_become_the_same_tokens(head: str, tiny_tokenizer: Callable[..., Any]) -> None:
    same = Example("same", "g", "w1", (" w2", " w3", "  w2 "), 0)
    with pytest.raises(DataError, match="example 'same': candidates become the same tokens: ' w2', '  w2 '"):
        check(head, tiny_tokenizer(), EXAMPLE, same)
    check("classification", tiny_tokenizer(), same)


@pytest.mark.parametrize("head", ["lm", "reward"])
def test_two_unknown_moves_look_alike(head: str, tiny_tokenizer: Callable[..., Any]) -> None:
    moves = Example("moves", "g", "w1", (" e2e4", " e7e5"), 0)
    with pytest.raises(DataError, match="example 'moves': candidates become the same tokens: ' e2e4', ' e7e5'"):
        check(head, tiny_tokenizer(), moves)


def test_a_cut_that_makes_candidates_alike_names_max_length(tiny_tokenizer: Callable[..., Any]) -> None:
    long = " w1 w2 w3 w4 w5 w6 w7 w8"
    example = Example("long", "g", "w1", (f"{long} w9", f"{long} w10"), 0)
    with pytest.raises(DataError, match=r"(?s)a larger max_length.*'long': .*same tokens where max_length cuts them"):
        check("lm", tiny_tokenizer(), example, max_length=8)
    check("lm", tiny_tokenizer(), example, max_length=16)


def test_a_tokenizer_whose_unknown_word_is_its_end_is_not_blamed(tiny_tokenizer: Callable[..., Any]) -> None:
    # GPT-2's, for one: bytes can write anything, and the unknown word stands for nothing.
    tokenizer = tiny_tokenizer()
    tokenizer.unk_token = "<eos>"
    check("lm", tokenizer, Example("closed", "g", "w1", (" w2 <eos>", " w3"), 0))
