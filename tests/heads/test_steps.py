"""The head of steps: TRL's tokens, one pass for a solution, and the scores that a row of its own has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from training_helpers import WORDS
from transformers import AutoModelForTokenClassification

from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS
from w2s_rm.heads.attention import read_branches
from w2s_rm.heads.trees import SharedPrefixCollator, hosts_of
from w2s_rm.tasks._process import Solution, step_examples
from w2s_rm.types import Example

HEAD = HEADS["steps"]
Row = dict[str, Any]


def solution(number: int, n_steps: int, words: int = 3) -> Solution:
    """A problem with steps of some words each, all different from those of other numbers."""
    text = [WORDS[10 + (7 * number + place) % 50] for place in range((n_steps + 1) * words)]
    pieces = [" ".join(text[at : at + words]) for at in range(0, len(text), words)]
    return Solution(f"{pieces[0]} ", tuple(pieces[1:]), (1,) * n_steps, True)


def encoded(tokenizer: Any, solutions: list[Solution], max_length: int | None = None) -> list[Row]:
    examples = [example for one in solutions for example in step_examples(one, " w9 ")]
    return [
        {"prompt_ids": row.prompt_ids, "candidate_ids": row.candidate_ids, "targets": [0.0, 1.0]}
        for row in HEAD.encode(tokenizer, examples, max_length)
    ]


def load(folder: str) -> Any:
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=2)
    output = dict(model.named_children()).get("score") or model.classifier
    with torch.no_grad():
        output.weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(1))
    return model.eval()


def test_tokens_are_those_of_trl(tiny_tokenizer: Callable[..., Any]) -> None:
    from trl.experimental.prm import PRMTrainer

    for bos in (None, "w1"):
        tokenizer = tiny_tokenizer()
        tokenizer.bos_token = bos
        one = solution(0, 4)
        features = {"prompt": one.problem, "completions": list(one.steps), "labels": [True] * 4}
        options = {"max_length": None, "max_completion_length": None, "train_on_last_step_only": False}
        theirs = PRMTrainer.tokenize_row(features, tokenizer, " w9 ", is_eval=False, **options)
        rows = encoded(tokenizer, [one])
        assert rows[-1]["prompt_ids"] == theirs["input_ids"]
        ends = [place + 1 for place, label in enumerate(theirs["labels"]) if label != -100]
        assert [len(row["prompt_ids"]) for row in rows] == ends
        assert all(theirs["input_ids"][: len(row["prompt_ids"])] == row["prompt_ids"] for row in rows)


def test_what_is_too_long_loses_its_left(tiny_tokenizer: Callable[..., Any]) -> None:
    whole, cut = (encoded(tiny_tokenizer(), [solution(0, 4)], most) for most in (None, 12))
    assert [row["prompt_ids"][-12:] for row in whole] == [row["prompt_ids"] for row in cut]


def test_conversations_are_refused(tiny_tokenizer: Callable[..., Any]) -> None:
    spoken = Example("talk", "g", ({"role": "user", "content": "w1"},), (" wrong", " right"), 1)
    with pytest.raises(DataError, match="head steps reads plain text, but these examples are conversations: talk"):
        HEAD.encode(tiny_tokenizer(), [spoken], None)


def test_hosts() -> None:
    prompts = [[1, 2], [1, 2, 3], [4], [1, 2, 3, 4], [1, 2, 5], [4], [1]]
    # A beginning of several is fed with one of them; equal ones are fed once.
    assert hosts_of(prompts) == [3, 3, 2, 3, 4, 2, 3]
    for prompt, host in zip(prompts, hosts_of(prompts), strict=True):
        assert prompts[host][: len(prompt)] == prompt


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("max_length", [None, 14])
def test_a_chain_is_fed_once_and_scores_are_those_of_rows(
    architecture: str,
    max_length: int | None,
    tiny_language_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
) -> None:
    model = load(tiny_language_model(architecture))
    rows = encoded(tiny_tokenizer(), [solution(0, 5), solution(1, 1), solution(2, 3)], max_length)
    # In any order: nobody says which rows belong together.
    rows = [rows[place] for place in torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()]
    padded, shared = HEAD.collator(0, None)(rows), SharedPrefixCollator(HEAD.tree, 0, chains=True)(rows)
    fed = int((shared["segments"] > 0).sum())
    if max_length is None:
        # Problem and steps of three words, a separator behind each step.
        assert fed == 3 * 3 + (5 + 1 + 3) * 4
    assert fed < sum(len(row["prompt_ids"]) for row in rows)
    expected_BK = HEAD.score(model, padded).scores_BK
    alone_BK = torch.stack([model(torch.tensor([row["prompt_ids"]])).logits[0, -1] for row in rows])
    torch.testing.assert_close(expected_BK, alone_BK, rtol=1e-5, atol=1e-5)
    read_branches(model)
    scores_BK = HEAD.score(model, shared).scores_BK
    assert float(expected_BK.detach().std()) > 0.05
    torch.testing.assert_close(scores_BK, expected_BK, rtol=1e-5, atol=1e-5)


def test_padding_is_known_by_the_mask_not_by_its_token(tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model())
    # Steps may end with the token that pads.
    rows = [{"prompt_ids": ids, "candidate_ids": [[], []]} for ids in ([5, 6, 1, 1], [7, 1], [8, 9, 4, 3, 1])]
    padded, shared = HEAD.collator(1, None)(rows), SharedPrefixCollator(HEAD.tree, 1, chains=True)(rows)
    alone_BK = torch.stack([model(torch.tensor([row["prompt_ids"]])).logits[0, -1] for row in rows])
    torch.testing.assert_close(HEAD.score(model, padded).scores_BK, alone_BK, rtol=1e-5, atol=1e-5)
    read_branches(model)
    torch.testing.assert_close(HEAD.score(model, shared).scores_BK, alone_BK, rtol=1e-5, atol=1e-5)


def test_dropout_before_the_last_layer_is_kept(tiny_language_model: Callable[..., str]) -> None:
    model = load(tiny_language_model()).train()
    model.dropout.p = 0.5
    read_branches(model)
    batch = SharedPrefixCollator(HEAD.tree, 0, chains=True)([{"prompt_ids": [5, 6, 7], "candidate_ids": [[], []]}])
    drawn = {tuple(HEAD.score(model, batch).scores_BK[0].tolist()) for _ in range(8)}
    assert len(drawn) > 1
