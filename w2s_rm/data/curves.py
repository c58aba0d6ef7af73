"""The parquet file of what a model scored on held-out splits while it was trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.data.examples import write_parquet_parts
from w2s_rm.errors import ArtifactError
from w2s_rm.types import Predictions

if TYPE_CHECKING:
    import pyarrow

CURVE_FILE = "curve.parquet"
VALIDATION, TEST = "validation", "test"
"""The splits that are scored."""
# In the order in which `_parts` takes rows apart.
_COLUMNS = ("step", "split", "id", "scores", "gold", "labels", "greedy")


@dataclass(frozen=True)
class CurvePart:
    """The scores of some or all examples of a split after one step.

    Args:
        step (`int`): Steps of training before it; 0 is the model at the start.
        split (`str`): `validation` or `test`.
        predictions ([`~w2s_rm.types.Predictions`]): What the model said.
        labels (`tuple[tuple[float, ...], ...]`, *optional*): For each example what the supervisor says, a distribution
            over its candidates; of models that are trained on its labels, on the validation split.
    """

    step: int
    split: str
    predictions: Predictions
    labels: tuple[tuple[float, ...], ...] | None = None


def write_curve(path: Path, parts: Iterable[CurvePart]) -> None:
    """Write `step`, `split`, `id`, `scores`, `gold`, `labels` and `greedy`, part by part; completely or not at all.

    Args:
        path (`Path`): The parquet file.
        parts (`Iterable[CurvePart]`): At least one; those of a step and split follow each other.
    """
    write_parquet_parts(path, map(_table, parts))


def join_curves(path: Path, paths: Sequence[Path]) -> None:
    """Write the parts of several files into one.

    Args:
        path (`Path`): The parquet file.
        paths (`Sequence[Path]`): From [`write_curve`].
    """
    import pyarrow.parquet as pq

    # Row group by row group, so that no more than one is in memory.
    groups = ((file, number) for file in map(pq.ParquetFile, paths) for number in range(file.num_row_groups))
    write_parquet_parts(path, (file.read_row_group(number) for file, number in groups))


def _table(part: CurvePart) -> pyarrow.Table:
    import pyarrow as pa

    predictions, count = part.predictions, len(part.predictions.ids)
    numbers = pa.list_(pa.float64())
    # All of them in every part, for a file has the columns of its first one.
    columns = (
        pa.array([part.step] * count, pa.int64()),
        pa.array([part.split] * count, pa.string()),
        pa.array(predictions.ids, pa.string()),
        pa.array([list(row) for row in predictions.scores], numbers),
        pa.array(predictions.gold, pa.int64()),
        pa.array([None] * count if part.labels is None else [list(row) for row in part.labels], numbers),
        pa.array([None] * count if predictions.greedy is None else predictions.greedy, pa.int64()),
    )
    return pa.table(dict(zip(_COLUMNS, columns, strict=True)))


def read_curve(path: Path) -> list[CurvePart]:
    """Read what [`write_curve`] wrote, a part for each step and split, in the order of the file.

    Args:
        path (`Path`): The parquet file.

    Raises:
        ArtifactError: The file is missing, broken or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
        columns = [table.column(name).to_pylist() for name in _COLUMNS]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); delete the folder and run the recipe again") from error
    return list(_parts(zip(*columns, strict=True)))


def _parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[CurvePart]:
    # Neighbours alone are joined: parts of a step and split follow each other in the file.
    for (step, split), group in groupby(rows, key=lambda row: row[:2]):
        _, _, ids, scores, gold, labels, greedy = zip(*group, strict=True)
        # One tells of all: a part has these for every example or for none.
        written = None if greedy[0] is None else greedy
        said = None if labels[0] is None else tuple(map(tuple, labels))
        yield CurvePart(step, split, Predictions(ids, tuple(map(tuple, scores)), gold, written), said)
