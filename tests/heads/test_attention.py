"""What models are taught: the mask of trees, in the form of each attention, and to stay what they were."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_mask
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from w2s_rm import W2SRewardConfig
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import read_branches, tree_mask
from w2s_rm.heads.trees import SharedPrefixCollator
from w2s_rm.training.layouts import choose_layout, make_collator

Row = list[tuple[int, int]]


def random_rows(seed: int) -> tuple[list[Row], int]:
    """Rows of tokens as (tree, branch), a prompt being branch 0; and the length to which they are padded."""
    generator, tree, rows = random.Random(seed), 0, []
    for _ in range(generator.randint(1, 4)):
        row: Row = []
        for _ in range(generator.randint(1, 4)):
            tree += 1
            row += [(tree, 0)] * generator.randint(0, 5)
            for branch in range(1, generator.randint(1, 6)):
                row += [(tree, branch)] * generator.randint(1, 4)
        rows.append(row)
    return rows, max(map(len, rows)) + generator.randint(0, 5)


def to_tensors(rows: list[Row], length: int) -> tuple[Tensor, Tensor]:
    padded = torch.tensor([row + [(0, 0)] * (length - len(row)) for row in rows])
    return padded[..., 0], padded[..., 1]


def looped_mask(rows: list[Row], length: int) -> Tensor:
    """What a token may see: earlier tokens and itself, of its own tree, of the prompt or of its own branch."""
    mask_RTT = torch.zeros(len(rows), length, length, dtype=torch.bool)
    for number, row in enumerate(rows):
        for query, (tree, branch) in enumerate(row):
            for key, (other_tree, other_branch) in enumerate(row[: query + 1]):
                mask_RTT[number, query, key] = tree == other_tree and other_branch in (0, branch)
    return mask_RTT


@pytest.mark.parametrize("seed", range(20))
def test_a_token_sees_its_prompt_and_its_branch_up_to_itself(seed: int) -> None:
    rows, length = random_rows(seed)
    segments_RT, branches_RT = to_tensors(rows, length)
    mask_R1TT = tree_mask(segments_RT, branches_RT, "sdpa")
    assert mask_R1TT.dtype == torch.bool and mask_R1TT.shape == (len(rows), 1, length, length)
    expected_RTT, real_RT = looped_mask(rows, length), segments_RT > 0
    assert torch.equal(mask_R1TT[:, 0][real_RT], expected_RTT[real_RT])
    # Padding must see something, or the softmax over nothing is NaN.
    assert mask_R1TT.any(dim=-1).all()


@pytest.mark.parametrize("seed", range(5))
def test_what_eager_attention_adds_is_the_same_mask(seed: int) -> None:
    segments_RT, branches_RT = to_tensors(*random_rows(seed))
    boolean, added = (tree_mask(segments_RT, branches_RT, attention) for attention in ("sdpa", "eager"))
    assert added.dtype == torch.float32 and (added[boolean] == 0).all()
    assert (added[~boolean] == torch.finfo(torch.float32).min).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_block_mask_is_the_same_mask(seed: int) -> None:
    rows, _ = random_rows(seed)
    # Longer than one block of 128 tokens.
    rows, length = [row * 12 for row in rows], 12 * max(map(len, rows)) + 3
    segments_RT, branches_RT = to_tensors(rows, length)
    blocks = tree_mask(segments_RT, branches_RT, "flex_attention")
    boolean = tree_mask(segments_RT, branches_RT, "sdpa")
    assert torch.equal(create_mask(blocks.mask_mod, len(rows), 1, length, length, device="cpu"), boolean)
    # A block that is left out has nothing in it.
    kept = blocks.to_dense().bool().repeat_interleave(128, dim=2).repeat_interleave(128, dim=3)
    assert not (boolean & ~kept[..., :length, :length]).any()


def test_a_model_that_reads_branches_stays_itself(tiny_language_model: Callable[..., str]) -> None:
    # Absolute positions: generation must still find in the signature that it may give them to a padded prompt.
    fresh, taught = (AutoModelForCausalLM.from_pretrained(tiny_language_model("gpt2")).eval() for _ in range(2))
    read_branches(taught)
    ids = torch.tensor([[0] * 4 + [5, 6], [7, 8, 9, 10, 11, 12]])
    options: dict[str, Any] = {"attention_mask": (ids != 0).long(), "do_sample": False, "max_new_tokens": 8}
    assert torch.equal(taught.generate(ids, **options), fresh.generate(ids, **options))
    assert torch.equal(taught(ids, labels=ids).loss, fresh(ids, labels=ids).loss)


def test_a_copy_of_a_model_runs_its_own_weights(tiny_model: Callable[..., str]) -> None:
    model: Any = AutoModelForSequenceClassification.from_pretrained(tiny_model()).eval()
    read_branches(model)
    rows = [{"prompt_ids": [5, 6], "candidate_ids": [[7], [8, 9]], "targets": [0.5, 0.5]}]
    batch, ids = SharedPrefixCollator(HEADS["reward"].tree, 0)(rows), torch.tensor([[5, 6, 7]])
    twin = copy.deepcopy(model)
    scores_BK, logits = HEADS["reward"].score(model, batch).scores_BK, model(ids).logits
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(HEADS["reward"].score(twin, batch).scores_BK, scores_BK) and scores_BK.abs().min() > 1e-4
    assert torch.equal(twin(ids).logits, logits)


@pytest.mark.slow
def test_scores_of_compiled_attention_are_the_same(tiny_model: Callable[..., str]) -> None:
    # In evaluation only: on a CPU compiled attention has no backward pass.
    folder, generator = tiny_model(), random.Random(0)
    rows = [
        {
            "prompt_ids": generator.choices(range(3, 63), k=generator.randint(1, 20)),
            "candidate_ids": [generator.choices(range(3, 63), k=generator.randint(1, 9)) for _ in range(5)],
            "targets": [0.2] * 5,
        }
        for _ in range(6)
    ]
    scores = []
    for attention, name in (("sdpa", "padded"), ("flex_attention", "shared_prefix")):
        model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation=attention).eval()
        args = W2SRewardConfig("unused", layout=name, max_length=64, use_cpu=True, bf16=False)
        layout = choose_layout(HEADS["reward"], model, args)
        if layout.name == "shared_prefix":
            read_branches(model)
        batch = make_collator(layout, HEADS["reward"], model, args, 0)(rows)
        assert layout.name == name and (name == "padded" or batch["input_ids"].shape == (1, 256))
        with torch.no_grad():
            scores.append(HEADS["reward"].score(model, batch).scores_BK)
    assert scores[0].std() > 0.02
    torch.testing.assert_close(scores[1], scores[0], rtol=1e-5, atol=1e-5)
