"""Examples as content: ids by content, candidate order by hash, and an exact round trip through Parquet. No torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.errors import DataError
from w2s_rm.files import replacing
from w2s_rm.types import Example, Step, Text, content_hash, hash_fraction, text_hash

if TYPE_CHECKING:
    import pyarrow


def content_id(prompt: Text, candidates: Iterable[Text], template_kwargs: Mapping[str, Any] | None = None) -> str:
    """Return an id that depends on the prompt and on which candidates there are, not on their order.

    Args:
        prompt (`str` or `Messages`): The prompt.
        candidates (`Iterable` of `str` or `Messages`): The candidates in any order.
        template_kwargs (`Mapping[str, Any]`, *optional*): What the chat template is given beside them, if anything.
    """
    # Nothing where there are none: an empty column makes no other comparison.
    extra = [template_kwargs] if template_kwargs else []
    return content_hash(prompt, sorted(map(text_hash, candidates)), *extra)


def hash_order(example: Example) -> Example:
    """Put the candidates into an order that depends on nothing but the example's id and their content.

    Each permutation is equally likely over ids, so no position says anything about the gold label: datasets that store
    the preferred answer first would otherwise leak it into every loss that thresholds a score. Idempotent.

    Args:
        example (`Example`): Candidates in any order.
    """
    # The id too: else a candidate that many examples share would lean to the same side in all of them.
    keys = [hash_fraction("order", example.id, candidate_id) for candidate_id in example.candidate_ids]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    gold = None if example.gold is None else order.index(example.gold)
    truth = None if example.truth is None else tuple(example.truth[k] for k in order)
    return replace(example, candidates=tuple(example.candidates[k] for k in order), gold=gold, truth=truth)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples to a Parquet file, atomically.

    Columns: id, group, prompt (JSON), candidates (list of JSON), gold (integer or null), truth (list of K shares, or
    null), margin (number or null), template_kwargs (JSON), and of steps of solutions step (JSON). JSON with ASCII
    escapes keeps text that is not valid UTF-8 (lone surrogates) exact.

    Args:
        path (`Path`): File to write.
        examples (`Sequence[Example]`): Kept in this order.
    """
    import pyarrow as pa

    # As JSON, because a column of Parquet has one type, and prompts are text or lists of messages whose keys differ.
    columns = {
        "id": pa.array([example.id for example in examples], pa.string()),
        "group": pa.array([example.group for example in examples], pa.string()),
        "prompt": pa.array([json.dumps(example.prompt) for example in examples], pa.string()),
        "candidates": pa.array([[json.dumps(text) for text in e.candidates] for e in examples], pa.list_(pa.string())),
        "gold": pa.array([example.gold for example in examples], pa.int64()),
        "truth": pa.array([example.truth for example in examples], pa.list_(pa.float64())),
        "margin": pa.array([example.margin for example in examples], pa.float64()),
        "template_kwargs": pa.array([json.dumps(example.template_kwargs) for example in examples], pa.string()),
    }
    # Files without solutions do without the column, by which `read_steps` knows them.
    if any(example.step is not None for example in examples):
        steps = [None if example.step is None else json.dumps(dataclasses.asdict(example.step)) for example in examples]
        columns["step"] = pa.array(steps, pa.string())
    write_parquet(path, pa.table(columns))


def read_examples(path: Path) -> list[Example]:
    """Read what [`write_examples`] wrote.

    Args:
        path (`Path`): File to read.

    Raises:
        DataError: The file is missing or was not written by [`write_examples`].
    """
    rows = _table(path, "id", "group", "prompt", "candidates", "gold", "truth", "margin", "template_kwargs")
    steps = read_steps(path)
    return [_example(row, steps.get(row["id"])) for row in rows.to_pylist()]


def read_steps(path: Path) -> dict[str, Step]:
    """Read of each example only where in a solution it stands, by id; nothing of examples that stand in none.

    Args:
        path (`Path`): What [`write_examples`] wrote.

    Raises:
        DataError: The file is missing or was not written by [`write_examples`].
    """
    # Only files of solutions have the column.
    table = _table(path, "id", optional="step")
    if "step" not in table.column_names:
        return {}
    ids, steps = (column.to_pylist() for column in table.columns)
    return {id: _step(written) for id, written in zip(ids, steps, strict=True) if written is not None}


def _step(written: str) -> Step:
    values = json.loads(written)
    return Step(**{**values, "cuts": tuple(values["cuts"])})


def read_contents(path: Path) -> list[tuple[str, ...]]:
    """Read prompt and candidates of what [`write_examples`] wrote, as JSON and candidates sorted: only to compare them.

    Args:
        path (`Path`): File to read.

    Raises:
        DataError: The file is missing or was not written by [`write_examples`].
    """
    prompts, candidates = (column.to_pylist() for column in _table(path, "prompt", "candidates").columns)
    return [(prompt, *sorted(texts)) for prompt, texts in zip(prompts, candidates, strict=True)]


def read_truth(path: Path) -> dict[str, tuple[str, int | None]]:
    """Read of each example only its group and the index of its right candidate, by id: no texts.

    Args:
        path (`Path`): What [`write_examples`] wrote.

    Raises:
        DataError: The file is missing or was not written by [`write_examples`].
    """
    ids, groups, golds = (column.to_pylist() for column in _table(path, "id", "group", "gold").columns)
    return dict(zip(ids, zip(groups, golds, strict=True), strict=True))


def _table(path: Path, *columns: str, optional: str | None = None) -> pyarrow.Table:
    """Some columns of a file of examples, in this order, and behind them one that it may lack."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        wanted = [*columns, *([optional] if optional in file.schema_arrow.names else [])]
        # Columns are read in the file's order, and selected in ours.
        return file.read(wanted).select(wanted)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a file of examples ({error}); run the stage that writes it again") from error


def write_parquet(path: Path, table: pyarrow.Table) -> None:
    """Write a table beside its place and rename it, so that the file is whole or not there.

    Args:
        path (`Path`): File to write; its folder is made.
        table (`pyarrow.Table`): The content.
    """
    import pyarrow.parquet

    with replacing(path) as unfinished:
        pyarrow.parquet.write_table(table, unfinished)


def write_parquet_parts(path: Path, parts: Iterable[pyarrow.Table]) -> None:
    """Write tables one after the other as they come, as row groups of one file that is whole or not there.

    Args:
        path (`Path`): File to write; its folder is made.
        parts (`Iterable[pyarrow.Table]`): At least one, all with the columns of the first.

    Raises:
        DataError: There are no parts.
    """
    import pyarrow.parquet

    remaining = iter(parts)
    # The schema is that of the first part, so there must be one; it may have no rows.
    first = next(remaining, None)
    if first is None:
        raise DataError(f"{path}: there is nothing to write, not even a table without rows; give the writer one part")
    with replacing(path) as unfinished, pyarrow.parquet.ParquetWriter(unfinished, first.schema) as writer:
        writer.write_table(first)
        for part in remaining:
            writer.write_table(part)


def _example(row: dict[str, Any], step: Step | None) -> Example:
    candidates = tuple(_text(candidate) for candidate in row["candidates"])
    truth = None if row["truth"] is None else tuple(row["truth"])
    template_kwargs = json.loads(row["template_kwargs"])
    known = {"gold": row["gold"], "truth": truth, "margin": row["margin"]}
    prompt, more = _text(row["prompt"]), {"template_kwargs": template_kwargs, "step": step}
    return Example(row["id"], row["group"], prompt, candidates, **known, **more)


def _text(written: str) -> Text:
    value = json.loads(written)
    return value if isinstance(value, str) else tuple(value)
