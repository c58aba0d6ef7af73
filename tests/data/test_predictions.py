"""The file of predictions: an exact round trip with and without greedy answers, and errors that name the file."""

from collections.abc import Iterator
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
    write_predictions(path, [RAGGED])
    assert pq.read_schema(path).names == ["id", "scores", "gold"]
    assert read_predictions(path) == RAGGED


def test_greedy_answers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    written = Predictions(RAGGED.ids, RAGGED.scores, RAGGED.gold, (-1, 1))
    write_predictions(path, [written])
    assert pq.read_schema(path).field("greedy").type == pa.int64()
    assert read_predictions(path) == written
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.parquet"]


def part(number: int) -> Predictions:
    return Predictions((f"x{number}", f"y{number}"), ((0.5, float(number)), (1.0, 2.0, 3.0)), (number % 2, None))


def test_parts_are_written_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    seen: list[list[str]] = []

    def parts() -> Iterator[Predictions]:
        for number in range(3):
            seen.append([file.name for file in tmp_path.iterdir()])
            yield part(number)

    write_predictions(path, parts())
    # Nothing under the final name before the end, and one file of all parts then.
    assert all(path.name not in names for names in seen)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert pq.ParquetFile(path).num_row_groups == 3
    read = read_predictions(path)
    assert read.ids == ("x0", "y0", "x1", "y1", "x2", "y2")
    assert read.scores == tuple(row for number in range(3) for row in part(number).scores)
    assert read.gold == (0, None, 1, None, 0, None)


@pytest.mark.parametrize("complete", [0, 2])
def test_an_interrupted_writer_leaves_nothing(tmp_path: Path, complete: int) -> None:
    path = tmp_path / "predictions.parquet"

    def parts() -> Iterator[Predictions]:
        yield from map(part, range(complete))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, parts())
    assert list(tmp_path.iterdir()) == []
    write_predictions(path, [RAGGED])
    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, parts())
    assert [file.name for file in tmp_path.iterdir()] == [path.name] and read_predictions(path) == RAGGED


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
