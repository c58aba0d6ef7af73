"""Rows of TRL's preference datasets, text, conversations or tokens, to encoded rows; `chosen` is candidate 0."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase
from trl.data_utils import is_conversational

from w2s_rm.data.messages import written_messages
from w2s_rm.errors import DataError, join_problems
from w2s_rm.heads.encoding import encode_batch, share_tokens
from w2s_rm.training.facts import CONVERSATIONS, TEXT
from w2s_rm.types import Encoded

TOKEN_COLUMNS = ("chosen_ids", "rejected_ids")
_CELLS = ("prompt", "chosen", "rejected")


def _template_kwargs(tools: Any, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    # As in TRL, tools may be JSON: a column of schemas of different shapes has no type of its own.
    return {"tools": json.loads(tools) if isinstance(tools, str) else tools, **(extra or {})}


def _read_messages(name: str, cells: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    """Read conversations that were written as JSON; everything else stays as it is."""
    messages = [
        (written_messages(cell, f"row {index}: {name}") if isinstance(cell, str) else None) or cell
        for index, cell in zip(indices, cells, strict=True)
    ]
    # One message may stand without its list.
    return [[cell] if isinstance(cell, Mapping) else cell for cell in messages]


def kind_of_first(dataset: Any) -> str | None:
    """Whether a dataset begins with text or a conversation; `None` where its first row is none, which is said later.

    Args:
        dataset (`Dataset` or `IterableDataset`): Raw rows.
    """
    row: Mapping[str, Any] = next(iter(dataset), {})
    first = row.get("chosen")
    if isinstance(first, str) and written_messages(first, "row 0: chosen") is None:
        return TEXT
    return CONVERSATIONS if first else None


def _check_pairs(batch: Mapping[str, list[Any]], indices: list[int], columns: tuple[str, ...], label: str) -> None:
    """Refuse rows that are no pair of one kind.

    Raises:
        DataError: Missing columns, null cells, text beside messages, or labels that are no probabilities; names all
            rows of the batch.
    """
    if missing := [name for name in columns if name != "prompt" and name not in batch]:
        raise DataError(f"the dataset has no column {' and '.join(missing)}; it has {', '.join(batch)}")
    columns = tuple(name for name in columns if name in batch)
    problems = _cell_problems(batch, indices, columns, label)
    # Before kinds are compared: a null is of none.
    _refuse_rows(problems)
    # For each row the kinds that it has: one element, unless text and messages are mixed in it.
    kinds = [{isinstance(batch[name][position], str) for name in columns} for position in range(len(indices))]
    for index, kind in zip(indices, kinds, strict=True):
        if len(kind) > 1 or kind != kinds[0]:
            problems.append(f"row {index}: text and messages are mixed; use one kind in all columns and rows")
    _refuse_rows(problems)


def _refuse_rows(problems: list[str]) -> None:
    if problems:
        raise DataError(join_problems("rows that are no comparison:", problems))


def _cell_problems(
    batch: Mapping[str, list[Any]], indices: Sequence[int], columns: Sequence[str], label: str
) -> list[str]:
    problems = []
    for position, index in enumerate(indices):
        if empty := [name for name in columns if name in batch and batch[name][position] is None]:
            problems.append(f"row {index}: {' and '.join(empty)} is null; drop the row or fill it")
        if "margin" in batch and not _is_finite(batch["margin"][position]):
            problems.append(f"row {index}: margin {batch['margin'][position]} is no number; use 0 for none")
        if label in batch and not _is_probability(batch[label][position]):
            problems.append(f"row {index}: {label} {batch[label][position]} is no probability in [0, 1]")
    return problems


def refuse_cells(dataset: datasets.Dataset, label: str) -> None:
    """Name the rows of the whole dataset at once: encoding stops at its first batch that has some.

    Args:
        dataset (`Dataset`): Raw rows.
        label (`str`): Column with the probability that `chosen` is better.

    Raises:
        DataError: Rows that are no comparison; names all.
    """
    cells = (*_CELLS, *TOKEN_COLUMNS)
    names = [name for name in dataset.column_names if name in (*cells, "margin", label)]
    # Cells as Python has them, in whatever form the dataset gives its rows.
    read = dataset.with_format(None).select_columns(names)
    problems: list[str] = []
    # Batch by batch: of a dataset on disk only these rows come into memory.
    for start in range(0, len(read), 1000):
        batch = read[start : start + 1000]
        problems += _cell_problems(batch, range(start, min(start + 1000, len(read))), cells, label)
    _refuse_rows(problems)


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _is_probability(value: Any) -> bool:
    return value is not None and 0.0 <= value <= 1.0


def encode_preferences(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    label_column: str,
) -> dict[str, list[Any]]:
    """Encode a batch of a preference dataset: text, conversations, or tokens as TRL prepares them.

    Args:
        batch (`Mapping`): Columns.
        indices (`list[int]`): Numbers of the rows, for messages.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_length (`int`, *optional*): Most tokens in a row.
        label_column (`str`): Column with the probability that `chosen` is better.

    Raises:
        DataError: Rows that are no comparison; names them.
    """
    if set(TOKEN_COLUMNS) <= set(batch):
        _check_pairs(batch, indices, TOKEN_COLUMNS, label_column)
        pairs = list(zip(*(batch[name] for name in TOKEN_COLUMNS), strict=True))
        encoded = share_tokens(tokenizer, pairs, max_length)
    else:
        batch = {**batch, **{name: _read_messages(name, batch[name], indices) for name in _CELLS if name in batch}}
        _check_pairs(batch, indices, _CELLS, label_column)
        encoded = _encode_cells(batch, tokenizer, max_length)
    return {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [[p, 1.0 - p] for p in batch.get(label_column, [1.0] * len(encoded))],
    }


def _encode_cells(
    batch: Mapping[str, list[Any]], tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> list[Encoded]:
    size = len(batch["chosen"])
    candidates = list(zip(batch["chosen"], batch["rejected"], strict=True))
    # The first row speaks for all: `_check_pairs` has refused a batch of several kinds.
    conversational = is_conversational({"chosen": batch["chosen"][0]})
    # An implicit prompt is empty here; what the rows share from the left becomes the prompt.
    prompts: list[Any] = batch["prompt"] if "prompt" in batch else [[] if conversational else ""] * size
    tools, extra = (batch.get(name, [None] * size) for name in ("tools", "chat_template_kwargs"))
    template_kwargs = [_template_kwargs(*pair) for pair in zip(tools, extra, strict=True)]
    return encode_batch(tokenizer, prompts, candidates, max_length, template_kwargs)
