"""Rows of prompts, candidates and labels, as people write them, to encoded rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from w2s_rm.errors import DataError
from w2s_rm.heads import HEADS
from w2s_rm.training.mixin import ENCODED_COLUMNS
from w2s_rm.types import Example, content_hash


def check_columns(dataset: Any) -> None:
    """Refuse a dataset without prompts, candidates or labels.

    Args:
        dataset (`Dataset`, *optional*): Raw or encoded rows.

    Raises:
        DataError: Names the columns that are missing.
    """
    if dataset is None or set(ENCODED_COLUMNS) <= set(dataset.column_names):
        return
    labelled = {"label", "probabilities"} & set(dataset.column_names)
    missing = [name for name in ("prompt", "candidates") if name not in dataset.column_names]
    missing += [] if labelled else ["label or probabilities"]
    if missing:
        raise DataError(f"the dataset has no column {', '.join(missing)}; it has {', '.join(dataset.column_names)}")


def first_classes(dataset: Any) -> list[str] | None:
    """Return the candidates of the first row, which are those of all where they are classes.

    Args:
        dataset (`Dataset`, *optional*): Raw or encoded rows.
    """
    if dataset is None:
        return None
    # Encoded rows have lost the words; their number is still to fit the model.
    row = dataset[0]
    return list(map(str, row["candidates"] if "candidates" in row else range(len(row["targets"]))))


def encode_rows(
    batch: Mapping[str, list[Any]],
    indices: list[int],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    head: str,
    classes: list[str] | None,
) -> dict[str, list[Any]]:
    """Encode a batch of rows with `prompt`, `candidates` and `label` or `probabilities`.

    Args:
        batch (`Mapping`): Columns.
        indices (`list[int]`): Numbers of the rows, for messages.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_length (`int`, *optional*): Most tokens in a row.
        head (`str`): How candidates are scored.
        classes (`list[str]`, *optional*): The candidates that every row must have, in this order.

    Raises:
        DataError: A row without a distribution, with other candidates, or with some that the tokenizer cannot write.
    """
    if classes is not None:
        _check_classes(batch, indices, classes)
    ids = batch.get("id", indices)
    # Nothing is said of which one is right: heads only encode, and labels go beside them, in `targets`.
    examples = [
        Example(str(name), content_hash(prompt), prompt, tuple(options), None)
        for name, prompt, options in zip(ids, batch["prompt"], batch["candidates"], strict=True)
    ]
    targets: list[Any] = batch["probabilities"] if "probabilities" in batch else _one_hot(batch)
    wrong = [
        index
        for index, example, target in zip(indices, examples, targets, strict=True)
        if target is None
        or len(target) != len(example.candidates)
        or any(p is None or not 0.0 <= p <= 1.0 for p in target)
        # Datasets keep probabilities rounded, or in float32.
        or abs(sum(target) - 1.0) > 1e-4
    ]
    if wrong:
        raise DataError(f"each row needs a distribution over its candidates; rows {wrong[:10]} have none")
    encoded = HEADS[head].encode(tokenizer, examples, max_length)
    HEADS[head].check_candidates(tokenizer, examples, encoded)
    return {
        "prompt_ids": [row.prompt_ids for row in encoded],
        "candidate_ids": [row.candidate_ids for row in encoded],
        "targets": [list(target) for target in targets],
    }


def _check_classes(batch: Mapping[str, list[Any]], indices: list[int], classes: list[str]) -> None:
    others = [index for index, options in zip(indices, batch["candidates"], strict=True) if options != classes]
    if others:
        raise DataError(
            f"head classification has one output for each of {classes}; rows {others[:10]} have other candidates, "
            "or these in another order"
        )


def _one_hot(batch: Mapping[str, list[Any]]) -> list[list[float] | None]:
    # A label that names none of the candidates is `None`, for the caller to name its row.
    return [
        [float(k == label) for k in range(len(options))] if label in range(len(options)) else None
        for label, options in zip(batch["label"], batch["candidates"], strict=True)
    ]
