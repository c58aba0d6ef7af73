"""Pairs and chess positions as tokens, in the form of each trainer."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from w2s_rm.heads.encoding import encode_batch
from w2s_rm.settings import SETTINGS
from w2s_rm.types import Example


@dataclass(frozen=True)
class Rows:
    """The same tokens in the form of each trainer.

    Args:
        theirs (`datasets.Dataset`): `chosen_ids` and `rejected_ids`.
        ours (`datasets.Dataset`): `prompt_ids`, `candidate_ids` and `targets`.
    """

    theirs: datasets.Dataset
    ours: datasets.Dataset


def make_rows(pairs: Sequence[Mapping[str, Any]], tokenizer: Any, max_length: int) -> Rows:
    """Tokenise pairs as TRL does, cut to `max_length`.

    Args:
        pairs (`Sequence[Mapping]`): Rows of a TRL preference dataset.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_length (`int`): Most tokens in a row.
    """
    conversational = not isinstance(pairs[0]["chosen"], str)
    prompts: list[Any] = [pair.get("prompt") or ([] if conversational else "") for pair in pairs]
    encoded = encode_batch(tokenizer, prompts, [(pair["chosen"], pair["rejected"]) for pair in pairs], max_length)
    theirs = {
        name: [row.prompt_ids + row.candidate_ids[k] for row in encoded]
        for k, name in enumerate(("chosen_ids", "rejected_ids"))
    }
    ours = {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [[1.0, 0.0]] * len(encoded),
    }
    return Rows(datasets.Dataset.from_dict(theirs), datasets.Dataset.from_dict(ours))


def make_chess_rows(examples: Sequence[Example], tokenizer: Any, max_length: int) -> datasets.Dataset:
    """Tokenise positions and moves for a language model.

    Args:
        examples (`Sequence[Example]`): Positions.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_length (`int`): Most tokens in a row.
    """
    encoded = SETTINGS["chess"].encode(tokenizer, examples, max_length, "lm")
    targets = [[float(k == example.gold) for k in range(len(example.candidates))] for example in examples]
    return datasets.Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in encoded],
            "candidate_ids": [row.candidate_ids for row in encoded],
            "targets": targets,
        }
    )


def sort_by_length(rows: datasets.Dataset) -> datasets.Dataset:
    """Put pairs of like length together.

    Args:
        rows (`datasets.Dataset`): `chosen_ids` and `rejected_ids`.
    """
    lengths = _lengths(rows)
    return rows.select(sorted(range(len(rows)), key=lengths.__getitem__))


def grouped_tokens(rows: datasets.Dataset, batch_size: int) -> float:
    """Tokens per pair that TRL's trainer would feed with `train_sampling_strategy="group_by_length"`.

    Args:
        rows (`datasets.Dataset`): `chosen_ids` and `rejected_ids`.
        batch_size (`int`): Pairs in a step.
    """
    lengths = _lengths(rows)
    order = get_length_grouped_indices(lengths, batch_size, generator=torch.Generator().manual_seed(0))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return sum(2 * len(batch) * max(lengths[index] for index in batch) for batch in batches) / len(lengths)


def useful_tokens(rows: datasets.Dataset) -> float:
    """Tokens per example with the prompt counted once.

    Args:
        rows (`datasets.Dataset`): `prompt_ids` and `candidate_ids`.
    """
    prompts, candidates = rows["prompt_ids"], rows["candidate_ids"]
    counts = [len(p) + sum(map(len, options)) for p, options in zip(prompts, candidates, strict=True)]
    return sum(counts) / len(counts)


def describe(rows: datasets.Dataset) -> str:
    """Say how long prompts and candidates are, and how many candidates there are.

    Args:
        rows (`datasets.Dataset`): `prompt_ids` and `candidate_ids`.
    """
    prompt = statistics.median(map(len, rows["prompt_ids"]))
    candidate = statistics.median(len(ids) for options in rows["candidate_ids"] for ids in options)
    count = statistics.median(map(len, rows["candidate_ids"]))
    return f"medians: {prompt:g} tokens in a prompt, {candidate:g} in a candidate, {count:g} candidates"


def save(rows: Mapping[str, datasets.Dataset], folder: Path) -> None:
    """Save rows where [`load`] finds them.

    Args:
        rows (`Mapping[str, datasets.Dataset]`): By name.
        folder (`Path`): Where to.
    """
    for name, part in rows.items():
        part.save_to_disk(folder / "rows" / name)


def load(folder: Path, task: str, variant: str) -> datasets.Dataset:
    """Load the rows that a variant reads.

    Args:
        folder (`Path`): As for [`save`].
        task (`str`): `chess` or one that reads pairs.
        variant (`str`): `trl_sorted`, `trl` or one of ours.
    """
    name = "chess" if task == "chess" else {"trl": "theirs", "trl_sorted": "sorted"}.get(variant, "ours")
    return datasets.load_from_disk(folder / "rows" / name)


def _lengths(rows: datasets.Dataset) -> list[int]:
    pairs = zip(rows["chosen_ids"], rows["rejected_ids"], strict=True)
    return [max(len(chosen), len(rejected)) for chosen, rejected in pairs]
