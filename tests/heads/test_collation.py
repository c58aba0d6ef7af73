"""Encoded examples to padded tensors, with the tensors written out."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from w2s_rm.heads.collation import PaddedCollator, PrefixCollator, PromptCollator, pad_rows, share_prefixes

PAIR: dict[str, Any] = {"id": "p", "prompt_ids": [5, 6], "candidate_ids": [[7], [8, 9]], "targets": [0.75, 0.25]}
TRIPLE: dict[str, Any] = {"prompt_ids": [4], "candidate_ids": [[1], [2], [3, 3]], "targets": [0.0, 1.0, 0.0]}


def test_each_candidate_is_a_row_after_its_prompt() -> None:
    batch = PaddedCollator(pad_token_id=0)([PAIR, TRIPLE])
    rows = [[5, 6, 7, 0], [5, 6, 8, 9], [4, 1, 0, 0], [4, 2, 0, 0], [4, 3, 3, 0]]
    seen = [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch["input_ids"].tolist() == rows
    assert batch["attention_mask"].tolist() == seen
    assert batch["mask"].tolist() == [[True, True, False], [True, True, True]]
    assert batch["targets"].tolist() == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]
    assert batch["weights"].tolist() == [1.0, 1.0]
    assert batch["ids"] == ["p", "?"]
    assert "margins" not in batch


def test_the_model_can_take_the_tensors() -> None:
    batch = PaddedCollator(pad_token_id=0)([PAIR, TRIPLE])
    names = ("input_ids", "attention_mask", "mask", "targets", "weights")
    types = [torch.int64, torch.int64, torch.bool, torch.float32, torch.float32]
    assert [batch[name].dtype for name in names] == types


def test_a_pad_token_in_the_text_is_not_hidden() -> None:
    example = {"prompt_ids": [0, 5], "candidate_ids": [[0], [6, 0]], "targets": [1.0, 0.0]}
    batch = PaddedCollator(pad_token_id=0)([example])
    assert batch["input_ids"].tolist() == [[0, 5, 0, 0], [0, 5, 6, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize(("multiple", "length"), [(1, 4), (4, 4), (8, 8), (3, 6)])
def test_length_is_rounded_up(multiple: int, length: int) -> None:
    batch = PaddedCollator(pad_token_id=0, pad_to_multiple_of=multiple)([PAIR])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, length)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 4]


@pytest.mark.parametrize("collator", [PaddedCollator, PromptCollator, PrefixCollator])
def test_weights_and_margins_of_the_examples_are_kept(collator: Any) -> None:
    filler = {**PAIR, "weight": 0.0, "margin": 2}
    batch = collator(pad_token_id=0)([{**PAIR, "weight": 1.0, "margin": 0.5}, filler])
    assert batch["weights"].tolist() == [1.0, 0.0]
    assert batch["margins"].tolist() == [0.5, 2.0]


def test_prompts_alone_are_rows() -> None:
    first = {**PAIR, "candidate_ids": [[], []]}
    second = {"prompt_ids": [4], "candidate_ids": [[], []], "targets": [1.0, 0.0], "weight": 0.0}
    batch = PromptCollator(pad_token_id=9, pad_to_multiple_of=3)([first, second])
    assert batch["input_ids"].tolist() == [[5, 6, 9], [4, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 0, 0]]
    assert batch["targets"].tolist() == [[0.75, 0.25], [1.0, 0.0]]
    assert batch["mask"].tolist() == [[True, True], [True, True]]
    assert batch["weights"].tolist() == [1.0, 0.0]


def test_prefixes_are_fed_once_and_every_token_finds_its_logits() -> None:
    # Fed are [] of [7], [8] of [8, 9], [8] of [8, 3] and [8, 9] of [8, 9, 4]: all begin [8, 9], one row for the four.
    first = {"prompt_ids": [5, 6], "candidate_ids": [[7], [8, 9], [8, 3], [8, 9, 4]], "targets": [0.0, 1.0, 0.0, 0.0]}
    # Fed are [1] and [2]: two rows.
    second = {"prompt_ids": [4], "candidate_ids": [[1, 3], [2, 3]], "targets": [1.0, 0.0]}
    batch = PrefixCollator(pad_token_id=0)([first, second])
    assert batch["input_ids"].tolist() == [[5, 6, 8, 9], [0, 0, 4, 2], [0, 0, 4, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert int(batch["kept"]) == 3
    assert batch["mask"].tolist() == [[True] * 4, [True, True, False, False]]
    tokens = zip(*(batch[name].tolist() for name in TOKENS), strict=True)
    # Place in the last three of each row, token, candidate. Token 7 comes after the prompt's 6, second of row 0.
    assert list(tokens) == [
        (0, 7, 0),
        (0, 8, 1),
        (1, 9, 1),
        (0, 8, 2),
        (1, 3, 2),
        (0, 8, 3),
        (1, 9, 3),
        (2, 4, 3),
        (7, 1, 4),
        (8, 3, 4),
        (4, 2, 5),
        (5, 3, 5),
    ]


TOKENS = ("token_places", "token_ids", "token_candidates")


@pytest.mark.parametrize("multiple", [None, 1, 8, 64])
def test_every_token_is_predicted_from_all_before_it_whatever_the_padding(multiple: int | None) -> None:
    generator = random.Random(0)
    examples = []
    for _ in range(30):
        options = {tuple(generator.choices([1, 2], k=generator.randint(1, 4))) for _ in range(8)}
        prompt = generator.choices(range(3, 9), k=generator.randint(1, 9))
        targets = [1.0 / len(options)] * len(options)
        examples.append({"prompt_ids": prompt, "candidate_ids": list(map(list, sorted(options))), "targets": targets})
    batch = PrefixCollator(pad_token_id=0, pad_to_multiple_of=multiple)(examples)
    length, kept = batch["input_ids"].shape[1], int(batch["kept"])
    flat = [(example["prompt_ids"], ids) for example in examples for ids in example["candidate_ids"]]
    seen: dict[int, list[int]] = {}
    for at, token, candidate in zip(*(batch[name].tolist() for name in TOKENS), strict=True):
        row, position = divmod(at, kept)
        prompt, ids = flat[candidate]
        place = len(seen.setdefault(candidate, []))
        read = batch["input_ids"][row, : length - kept + position + 1]
        shown = batch["attention_mask"][row, : length - kept + position + 1]
        assert read[shown.bool()].tolist() == prompt + ids[:place]
        seen[candidate].append(token)
    assert [seen[number] for number in range(len(flat))] == [ids for _, ids in flat]
    # Nothing is fed twice: of the rows of an example none begins another.
    rows = [tuple(r[m.bool()].tolist()) for r, m in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    assert len(rows) < len(flat)


def test_shared_beginnings() -> None:
    index_of, kept = share_prefixes([(), (1,), (1, 2), (1, 2), (1, 3), (2,)])
    assert sorted(kept) == [(1, 2), (1, 3), (2,)]
    for sequence, index in index_of.items():
        assert kept[index][: len(sequence)] == sequence
    assert share_prefixes([(), ()]) == ({(): 0}, [()])


def test_left_padding_hides_what_it_adds() -> None:
    padded = pad_rows([[0, 5], [6]], 0, 4, left=True)
    assert padded["input_ids"].tolist() == [[0, 0, 0, 5], [0, 0, 0, 6]]
    assert padded["attention_mask"].tolist() == [[0, 0, 1, 1], [0, 0, 0, 1]]


def test_candidates_of_the_same_tokens_name_the_first_of_them() -> None:
    alike = {"prompt_ids": [1], "candidate_ids": [[5, 6], [7], [5, 6], [7]], "targets": [0.25] * 4}
    plain = {"prompt_ids": [1], "candidate_ids": [[5], [6]], "targets": [0.5] * 2}
    classes = {"prompt_ids": [1], "candidate_ids": [[], []], "targets": [0.5] * 2}
    # Padding candidates are their own.
    assert PaddedCollator(0)([plain, alike])["alike"].tolist() == [[0, 1, 2, 3], [0, 1, 0, 1]]
    assert "alike" not in PaddedCollator(0)([plain])
    assert "alike" not in PromptCollator(0)([classes])
