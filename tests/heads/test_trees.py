"""Trees of examples and the rows that they are laid out in."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from w2s_rm.heads.attention import tree_mask
from w2s_rm.heads.collation import PaddedCollator
from w2s_rm.heads.trees import (
    PROMPT,
    SharedPrefixCollator,
    Tree,
    candidate_tree,
    pack,
    prompt_tree,
    token_tree,
)

PAD = 0
TREES = {"reward": candidate_tree, "classification": prompt_tree, "lm": token_tree}


def row(prompt: list[int], *candidates: list[int], **more: Any) -> dict[str, Any]:
    targets = [1.0 / len(candidates)] * len(candidates)
    return {"prompt_ids": prompt, "candidate_ids": list(candidates), "targets": targets, **more}


def random_rows(head: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Examples of random tokens, padding and the empty prompt among them where the head takes them."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        prompt = generator.choices(range(6), k=generator.randint(0 if head == "reward" else 1, 7))
        most = 0 if head == "classification" else 5
        k = generator.choice([2, 3, 12])
        rows.append(
            row(prompt, *[generator.choices(range(6), k=generator.randint(min(1, most), most)) for _ in [0] * k])
        )
    return rows


@pytest.mark.parametrize(
    ("prompt", "candidate", "read"),
    [
        ([5, 6], [7, 8], (0, 1)),
        ([5, 6], [7, PAD], (0, 0)),
        ([5, 6], [7, PAD, 8, PAD, PAD], (0, 2)),
        ([5, 6], [PAD], (PROMPT, 1)),
        ([5, PAD], [PAD, PAD], (PROMPT, 0)),
        # Nothing but padding: transformers reads the row's first token.
        ([PAD, PAD], [PAD], (PROMPT, 0)),
        ([], [PAD, PAD], (0, 0)),
        ([], [PAD, 7, PAD], (0, 1)),
    ],
)
def test_a_candidate_is_read_at_its_last_token_that_is_no_padding(
    prompt: list[int], candidate: list[int], read: tuple[int, int]
) -> None:
    other = [9, 9]
    tree = candidate_tree(row(prompt, candidate, other), PAD)
    assert tree.reads == [read, (1, 1)]
    assert tree.prompt == prompt and tree.branches == [candidate, other]
    assert tree.size == len(prompt) + len(candidate) + 2 and not tree.tokens


@pytest.mark.parametrize(("prompt", "offset"), [([5, 6], 1), ([5, PAD], 0), ([PAD, 5, PAD], 1), ([PAD, PAD], 0)])
def test_a_prompt_is_read_once_and_has_no_branches(prompt: list[int], offset: int) -> None:
    tree = prompt_tree(row(prompt, [], [], []), PAD)
    assert tree == Tree(prompt, [], [(PROMPT, offset)])


def test_branches_of_a_language_model_are_what_it_is_fed() -> None:
    # Fed are 7 8 (for 7 8 9) and 7 5 (for 7 5 9, and its beginning for 7 8 and 7 6); 7 and 4 follow the prompt.
    tree = token_tree(row([2, 3], [7], [7, 8], [7, 8, 9], [4], [7, 5, 9], [7, 6]), PAD)
    assert tree.branches == [(7, 8), (7, 5)] and tree.size == 6
    assert tree.reads == [(PROMPT, 1), (0, 0), (0, 1), (1, 0), (1, 1)]
    assert tree.tokens == [
        (0, 7, 0),
        (0, 7, 1),
        (3, 8, 1),
        (0, 7, 2),
        (1, 8, 2),
        (2, 9, 2),
        (0, 4, 3),
        (0, 7, 4),
        (3, 5, 4),
        (4, 9, 4),
        (0, 7, 5),
        (3, 6, 5),
    ]


def test_rows_of_two_examples_written_out() -> None:
    examples = [row([5, 6], [7, 8], [9], id="a", margin=0.5), row([], [3, 4, PAD], [4], id="b", margin=0, weight=0.0)]
    batch = SharedPrefixCollator(candidate_tree, PAD, pad_to_multiple_of=4, one_row=True)(examples)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 3, 4, PAD, 4, PAD, PAD, PAD]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 2, 0, 1, 2, 0, 0, 0, 0]]
    assert batch["segments"].tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0]]
    assert batch["branches"].tolist() == [[0, 0, 1, 1, 2, 1, 1, 1, 2, 0, 0, 0]]
    assert batch["read_at"].tolist() == [3, 4, 6, 8]
    assert batch["ids"] == ["a", "b"] and batch["weights"].tolist() == [1.0, 0.0]
    assert batch["margins"].tolist() == [0.5, 0.0] and batch["mask"].tolist() == [[True, True]] * 2


def test_labels_are_those_of_the_padded_layout() -> None:
    examples = [row([5], [6], [7], [8], id="a", margin=1), row([5], [6, 7], [7], margin=0.25, weight=0.0)]
    shared, padded = SharedPrefixCollator(candidate_tree, PAD)(examples), PaddedCollator(PAD)(examples)
    for name in ("mask", "targets", "weights", "margins"):
        assert torch.equal(shared[name], padded[name]), name
    assert shared["ids"] == padded["ids"]


def expected_reads(tree: Tree) -> list[list[int]]:
    """For each read all that the model may know there: the prompt and the branch, up to the token."""
    return [
        [*(tree.prompt if branch != PROMPT else []), *(tree.prompt if branch == PROMPT else tree.branches[branch])][
            : offset + 1 + (len(tree.prompt) if branch != PROMPT else 0)
        ]
        for branch, offset in tree.reads
    ]


@pytest.mark.parametrize("head", list(TREES))
@pytest.mark.parametrize("options", [{}, {"one_row": True}, {"pad_to_multiple_of": 8}, {"max_tokens": 40}])
@pytest.mark.parametrize("seed", range(4))
def test_every_place_that_is_read_sees_its_text_in_order(head: str, options: dict[str, Any], seed: int) -> None:
    rows = random_rows(head, 9, seed)
    batch = SharedPrefixCollator(TREES[head], PAD, **options)(rows)
    mask_RTT = tree_mask(batch["segments"], batch["branches"], "sdpa")[:, 0]
    length = batch["input_ids"].shape[1]
    expected = [text for example in rows for text in expected_reads(TREES[head](example, PAD))]
    assert len(batch["read_at"]) == len(expected)
    for at, text in zip(batch["read_at"].tolist(), expected, strict=True):
        line, place = divmod(at, length)
        seen = mask_RTT[line, place].nonzero().flatten()
        assert batch["input_ids"][line, seen].tolist() == text
        assert batch["position_ids"][line, seen].tolist() == list(range(len(text)))
    tokens = sum(TREES[head](example, PAD).size for example in rows)
    assert int((batch["segments"] > 0).sum()) == tokens
    assert (batch["input_ids"][batch["segments"] == 0] == PAD).all()


@pytest.mark.parametrize("seed", range(6))
def test_every_token_of_every_candidate_is_predicted_from_the_text_before_it(seed: int) -> None:
    rows = random_rows("lm", 9, seed)
    batch = SharedPrefixCollator(token_tree, PAD)(rows)
    texts = [(example["prompt_ids"], ids) for example in rows for ids in example["candidate_ids"]]
    mask_RTT = tree_mask(batch["segments"], batch["branches"], "sdpa")[:, 0]
    written: dict[int, list[int]] = {candidate: [] for candidate in range(len(texts))}
    names = ("token_places", "token_ids", "token_candidates")
    for place, token, candidate in zip(*(batch[name].tolist() for name in names), strict=True):
        line, at = divmod(int(batch["read_at"][place]), batch["input_ids"].shape[1])
        before = batch["input_ids"][line, mask_RTT[line, at]].tolist()
        assert before == texts[candidate][0] + written[candidate]
        written[candidate].append(token)
    assert list(written.values()) == [ids for _, ids in texts]


def used(rows: list[list[int]], sizes: list[int]) -> int:
    return len(rows) * max(sum(sizes[index] for index in line) for line in rows)


@pytest.mark.parametrize("seed", range(60))
def test_packing_places_each_example_once_and_wastes_no_more_than_a_row_each(seed: int) -> None:
    generator = random.Random(seed)
    count, most = generator.choice([1, 2, 5, 16, 70]), generator.choice([1, 9, 100, 3000])
    sizes = [generator.randint(1, most) for _ in range(count)]
    attention_length = generator.choice([64, 4096])
    rows = pack(sizes, attention_length=attention_length)
    assert sorted(index for line in rows for index in line) == list(range(count))
    assert all(rows) and used(rows, sizes) <= count * max(sizes)
    for limit in (sum(sizes), sum(sizes) + most):
        # A single row would respect it.
        limited = pack(sizes, limit, attention_length)
        assert sorted(index for line in limited for index in line) == list(range(count))
        assert used(limited, sizes) <= limit


def test_packing_prefers_rows_without_padding() -> None:
    assert sorted(map(sorted, pack([10, 9, 1, 5, 5]))) == [[0], [1, 2], [3, 4]]
    assert pack([7]) == [[0]]
    assert sorted(map(len, pack([4] * 6))) == [1] * 6
    # 3 x 10 tokens and 14 of padding, or all in one row.
    assert len(pack([10, 3, 3])) == 1 == len(pack([10, 3, 3], max_tokens=16))


def test_where_attention_is_dear_more_padding_is_taken_for_shorter_rows() -> None:
    sizes = [100, 70, 65, 40]
    dear, cheap = pack(sizes, attention_length=16), pack(sizes, attention_length=100_000)
    assert max(sum(sizes[index] for index in line) for line in dear) < max(
        sum(sizes[index] for index in line) for line in cheap
    )
    assert used(dear, sizes) > used(cheap, sizes)


def test_one_row_is_one_row_where_packing_would_make_more() -> None:
    examples = [row([5, 6], [7], [8])] * 3
    for one_row, shape in ((False, (3, 4)), (True, (1, 12))):
        batch = SharedPrefixCollator(candidate_tree, PAD, one_row=one_row)(examples)
        assert tuple(batch["input_ids"].shape) == shape


def test_no_limit_drops_an_example() -> None:
    rows = random_rows("reward", 6, seed=0)
    batch = SharedPrefixCollator(candidate_tree, PAD, max_tokens=1)(rows)
    assert set(batch["segments"].flatten().tolist()) - {0} == set(range(1, 7))
