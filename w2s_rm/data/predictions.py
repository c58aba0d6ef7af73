"""The parquet file of a model's scores on a split."""

from __future__ import annotations

from pathlib import Path

from w2s_rm.data.examples import write_parquet
from w2s_rm.errors import ArtifactError
from w2s_rm.types import Predictions


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `id`, `scores` and `gold`, completely or not at all.

    Args:
        path (`Path`): The parquet file.
        predictions ([`~w2s_rm.types.Predictions`]): What to write.
    """
    import pyarrow as pa

    table = pa.table(
        {
            "id": pa.array(predictions.ids, pa.string()),
            "scores": pa.array([list(row) for row in predictions.scores], pa.list_(pa.float64())),
            "gold": pa.array(predictions.gold, pa.int64()),
        }
    )
    write_parquet(path, table)


def read_predictions(path: Path) -> Predictions:
    """Read what [`write_predictions`] wrote.

    Args:
        path (`Path`): The parquet file.

    Raises:
        ArtifactError: There is no such file.
    """
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ArtifactError(f"{path} is missing; remove its stage folder and run the recipe again")
    columns = pq.read_table(path).to_pydict()
    return Predictions(tuple(columns["id"]), tuple(tuple(row) for row in columns["scores"]), tuple(columns["gold"]))
