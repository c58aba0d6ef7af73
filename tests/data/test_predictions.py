"""The file of predictions: an exact round trip with and without greedy answers, and errors that name the file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2s_rm.data.predictions import read_predictions, write_predictions
from w2s_rm.errors import ArtifactError
from w2s_rm.types import Predictions

RAGGED = Predictions(("a", "b"), ((0.1, -2.5, float("-inf")), (1.0, 3.0)), (2, None))


def test_without_greedy_answers_there_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, RAGGED)
    assert pq.read_schema(path).names == ["id", "scores", "gold"]
    assert read_predictions(path) == RAGGED


def test_greedy_answers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    written = Predictions(RAGGED.ids, RAGGED.scores, RAGGED.gold, (-1, 1))
    write_predictions(path, written)
    assert pq.read_schema(path).field("greedy").type == pa.int64()
    assert read_predictions(path) == written
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.parquet"]


def test_missing_and_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(ArtifactError, match=r"predictions.parquet: cannot be read .*; delete the folder"):
        read_predictions(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match=r"predictions.parquet: cannot be read"):
        read_predictions(path)
    pq.write_table(pa.table({"id": ["a"], "scores": [[1.0]]}), path)
    with pytest.raises(ArtifactError, match="gold"):
        read_predictions(path)
