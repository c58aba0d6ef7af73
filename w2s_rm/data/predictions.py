"""The parquet file of a model's scores on a split."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm.data.examples import write_parquet_parts
from w2s_rm.errors import ArtifactError
from w2s_rm.types import Predictions

if TYPE_CHECKING:
    import pyarrow

# `greedy` is there only for heads that write.
_ALWAYS = ("id", "scores", "gold")


def write_predictions(path: Path, parts: Iterable[Predictions]) -> None:
    """Write `id`, `scores`, `gold` and, where the model wrote answers, `greedy`; completely or not at all.

    Args:
        path (`Path`): The parquet file.
        parts (`Iterable` of [`~w2s_rm.types.Predictions`]): What to write, one part after the other as they come.
    """
    write_parquet_parts(path, map(_table, parts))


def _table(predictions: Predictions) -> pyarrow.Table:
    import pyarrow as pa

    columns = {
        "id": pa.array(predictions.ids, pa.string()),
        "scores": pa.array([list(row) for row in predictions.scores], pa.list_(pa.float64())),
        "gold": pa.array(predictions.gold, pa.int64()),
    }
    if predictions.greedy is not None:
        columns["greedy"] = pa.array(predictions.greedy, pa.int64())
    return pa.table(columns)


def read_predictions(path: Path) -> Predictions:
    """Read what [`write_predictions`] wrote.

    Args:
        path (`Path`): The parquet file.

    Raises:
        ArtifactError: The file is missing, broken or lacks a column.
    """
    # Imported here so that the command line starts without it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
        columns = {name: table.column(name).to_pylist() for name in _ALWAYS}
        greedy = tuple(table.column("greedy").to_pylist()) if "greedy" in table.column_names else None
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); delete the folder and run the recipe again") from error
    return Predictions(tuple(columns["id"]), tuple(map(tuple, columns["scores"])), tuple(columns["gold"]), greedy)
