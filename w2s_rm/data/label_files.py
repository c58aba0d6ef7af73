"""Files of weak labels: ours, and those that others wrote (humans, another model). No torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm.data.cells import list_in, name_in, number_of, parse_each
from w2s_rm.data.examples import write_parquet_parts
from w2s_rm.data.judgements import LABELLER, parse_judgement, votes
from w2s_rm.data.messages import parse_text
from w2s_rm.data.reading import read_rows
from w2s_rm.errors import DataError
from w2s_rm.types import Row, Text, content_hash

if TYPE_CHECKING:
    import pyarrow

_WIDE = ("id", "candidate_ids", "probabilities")
_LONG = ("id", "candidate_id", "probability")
_TRL = ("chosen", "rejected", "chosen_probability")
# What is held in memory at a time, and a row group of the file.
_ROWS_OF_A_PART = 8192


@dataclass(frozen=True)
class WeakLabel:
    """A supervisor's distribution over the candidates of one example.

    Args:
        id (`str`): Example id, or content id of a comparison that came without one.
        candidate_ids (`tuple[str, ...]`): Content hashes of the K candidates, in the supervisor's order.
        probabilities (`tuple[float, ...]`): K numbers in [0, 1] that sum to 1.
        scores (`tuple[float, ...]`, *optional*): K raw scores, where the supervisor has them.
    """

    id: str
    candidate_ids: tuple[str, ...]
    probabilities: tuple[float, ...]
    scores: tuple[float, ...] | None = None


def write_labels(path: Path, labels: Iterable[WeakLabel]) -> None:
    """Write labels to a Parquet file, atomically: id, candidate_ids, probabilities, scores (null where there are none).

    Args:
        path (`Path`): File to write.
        labels (`Iterable[WeakLabel]`): Kept in this order; taken as they come, few at a time.
    """
    write_parquet_parts(path, map(_table, _parts(labels)))


def _parts(labels: Iterable[WeakLabel]) -> Iterator[list[WeakLabel]]:
    remaining = iter(labels)
    part = list(islice(remaining, _ROWS_OF_A_PART))
    # The file has its columns even if there are no labels.
    yield part
    while part := list(islice(remaining, _ROWS_OF_A_PART)):
        yield part


def _table(labels: Sequence[WeakLabel]) -> pyarrow.Table:
    import pyarrow as pa

    columns = {
        "id": pa.array([label.id for label in labels], pa.string()),
        "candidate_ids": pa.array([label.candidate_ids for label in labels], pa.list_(pa.string())),
        "probabilities": pa.array([label.probabilities for label in labels], pa.list_(pa.float64())),
        "scores": pa.array([label.scores for label in labels], pa.list_(pa.float64())),
    }
    return pa.table(columns)


def loose_ids(prompt: Text, candidates: Sequence[Text]) -> tuple[str, tuple[str, ...]]:
    """Ids of a comparison and its candidates by what a reader would read: prompt and response together, no white space.

    A supervisor who was given prompt, chosen and rejected hands them back without the separator that the recipe put in
    between, or as whole texts; this is what all of these have in common.

    Args:
        prompt (`str` or `Messages`): The prompt; empty where the candidates hold everything.
        candidates (`Sequence` of `str` or `Messages`): The candidates.
    """
    whole = [whole_text(prompt, candidate) for candidate in candidates]
    read = ["".join(text.split()) if isinstance(text, str) else text for text in whole]
    # Candidates that differ in white space alone need it.
    if len({content_hash(text) for text in read}) < len(read):
        read = whole
    ids = tuple(content_hash(text) for text in read)
    # Sorted: which of the two a supervisor calls chosen is its own opinion.
    return content_hash("loose", sorted(ids)), ids


def whole_text(prompt: Text, candidate: Text) -> Text:
    """Prompt and candidate in one; a conversation that comes with a plain text prompt holds it already.

    Args:
        prompt (`str` or `Messages`): The prompt.
        candidate (`str` or `Messages`): The candidate.
    """
    if isinstance(prompt, str) and isinstance(candidate, str):
        return prompt + candidate
    if isinstance(prompt, str) or isinstance(candidate, str):
        return candidate
    return prompt + candidate


def read_labels(path: str | Path) -> list[WeakLabel]:
    """Read labels from JSONL, CSV (both also gzipped), Parquet, or a folder of these, in one of three forms.

    - wide, one row an example: id, candidate_ids, probabilities, perhaps scores (in CSV the lists are JSON). With a
      column labeller, as `w2s-rm label` writes it, a row is a judgement, and the label of an example is the mean over
      labellers of what each said of it last;
    - long, one row a candidate: id, candidate_id, probability;
    - TRL's preference format: chosen, rejected, chosen_probability, perhaps prompt and id. Without id they join by
      content; white space does not count.

    Args:
        path (`str` or `Path`): File or folder.

    Raises:
        DataError: Unreadable, in none of the forms, or a value is not a number: all such rows with their lines.
    """
    # All at once, so that one error names every row that cannot be read.
    rows = list(read_rows(path))
    # Of all rows: a line of JSON may lack what others have, and is then named.
    columns = {name for row in rows for name in row.values}
    forms: list[tuple[tuple[str, ...], Callable[[Sequence[Row]], list[WeakLabel]]]] = [
        (_WIDE, lambda rows: _judged(path, rows) if LABELLER in columns else parse_each(path, rows, _wide)),
        (_LONG, lambda rows: _long(path, rows)),
        (_TRL, lambda rows: parse_each(path, rows, _trl)),
    ]
    # In this order: a file with the columns of two forms is read as the first, which says more.
    for names, read in forms:
        if columns >= set(names):
            return read(rows)
    known_forms = " or ".join(f"({', '.join(names)})" for names, _ in forms)
    raise DataError(f"{path}: not a file of labels; needs the columns {known_forms}, has {', '.join(sorted(columns))}")


def read_log_probabilities(path: Path) -> dict[str, tuple[float, ...]]:
    """Read what [`write_labels`] wrote as log-probabilities up to a constant, in the order of each label's candidates.

    They are a label's scores where it has any, which know what probabilities have lost, else `log p`.

    Args:
        path (`Path`): The Parquet file.

    Returns:
        `dict[str, tuple[float, ...]]`: By example id.

    Raises:
        DataError: The file is missing or was not written by [`write_labels`].
    """
    import pyarrow
    import pyarrow.parquet

    columns = ["id", "probabilities", "scores"]
    try:
        table = pyarrow.parquet.ParquetFile(path).read(columns)
        ids, probabilities, scores = (table.column(name).to_pylist() for name in columns)
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not labels of a stage ({error}); run the stage that writes them again") from error
    return {
        id: tuple(math.log(p) if p > 0 else -math.inf for p in values) if raw is None else tuple(raw)
        for id, values, raw in zip(ids, probabilities, scores, strict=True)
    }


def _judged(path: str | Path, rows: Sequence[Row]) -> list[WeakLabel]:
    return [WeakLabel(*vote) for vote in votes(parse_each(path, rows, parse_judgement), str(path))]


def _wide(row: Row) -> WeakLabel:
    ids = tuple(str(name) for name in list_in(row, "candidate_ids"))
    probabilities = tuple(number_of(value, "probabilities") for value in list_in(row, "probabilities"))
    scores = None
    # CSV has no null.
    if row.values.get("scores") not in (None, ""):
        scores = tuple(number_of(value, "scores") for value in list_in(row, "scores"))
    return WeakLabel(name_in(row, "id"), ids, probabilities, scores)


def _long(path: str | Path, rows: Sequence[Row]) -> list[WeakLabel]:
    values: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for id, candidate, probability in parse_each(path, rows, _long_row):
        values[id].append((candidate, probability))
    return [WeakLabel(id, tuple(c for c, _ in pairs), tuple(p for _, p in pairs)) for id, pairs in values.items()]


def _long_row(row: Row) -> tuple[str, str, float]:
    return name_in(row, "id"), name_in(row, "candidate_id"), number_of(row.values.get("probability"), "probability")


def _trl(row: Row) -> WeakLabel:
    prompt = _text(row, "prompt") if "prompt" in row.values else ""
    id, candidate_ids = loose_ids(prompt, (_text(row, "chosen"), _text(row, "rejected")))
    first = number_of(row.values.get("chosen_probability"), "chosen_probability")
    # Candidates are known by content in any case: of these rows an id names the example only.
    return WeakLabel(name_in(row, "id") if "id" in row.values else id, candidate_ids, (first, 1.0 - first))


def _text(row: Row, column: str) -> Text:
    return parse_text(row.values.get(column), column)
