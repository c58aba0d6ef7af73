"""Shards of features: what is written comes back by id, and what is broken says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from w2s_rm.errors import ArtifactError, DataError
from w2s_rm.features.store import StoredRows, read_features, shard_key, shard_path, write_shard


def write(folder: Path) -> None:
    values = torch.arange(24.0).view(6, 4)
    write_shard(shard_path(folder, 0), ["a", "b"], [2, 1], {"mean.1": values[:3], "last.2": -values[:3]}, "key-0")
    write_shard(shard_path(folder, 1), ["c"], [3], {"mean.1": values[3:], "last.2": -values[3:]}, "key-1")


def test_features_come_back_in_the_order_that_is_wanted(tmp_path: Path) -> None:
    write(tmp_path)
    table = read_features(tmp_path, "mean.1", ["c", "a"])
    assert table.counts == [3, 2] and table.values_FD.dtype == torch.float32
    assert table.values_FD[:, 0].tolist() == [12, 16, 20, 0, 4]
    assert read_features(tmp_path, "last.2", ["b"]).values_FD.tolist() == [[-8, -9, -10, -11]]
    assert [shard_key(shard_path(tmp_path, number)) for number in range(3)] == ["key-0", "key-1", None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-00000.safetensors", "shard-00001.safetensors"]


def test_the_same_features_are_the_same_bytes(tmp_path: Path) -> None:
    """Of 20 files, because a library would order their metadata by chance."""
    written = set()
    for number in range(20):
        values = {"mean.1": torch.arange(6.0).view(3, 2), "é": torch.ones(3, 1)}
        write_shard(shard_path(tmp_path, number), ["a", "b\u00e9"], [2, 1], values, "key")
        written.add(shard_path(tmp_path, number).read_bytes())
    assert len(written) == 1
    assert read_features(tmp_path, "mean.1", ["b\u00e9"]).values_FD.tolist() == [[4.0, 5.0]]


def test_what_float16_cannot_hold_is_kept_with_coarser_steps(tmp_path: Path) -> None:
    values = torch.tensor([[1.0, 1e6], [0.1234, -3e5]])
    write_shard(shard_path(tmp_path, 0), ["a"], [2], {"mean.1": values, "mean.2": values[:, :1]}, "key")
    torch.testing.assert_close(read_features(tmp_path, "mean.1", ["a"]).values_FD, values, rtol=2**-8, atol=0)
    torch.testing.assert_close(read_features(tmp_path, "mean.2", ["a"]).values_FD, values[:, :1], rtol=2**-11, atol=0)


def test_examples_without_features_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match="does not hold the features of all 3 examples\n  - id 'x': no features\n.*'y'"):
        read_features(tmp_path, "mean.1", ["x", "a", "y"])


@pytest.mark.parametrize("place", [0.1, 0.3, 0.6, 0.99])
def test_a_shard_with_a_flipped_bit_is_made_again(tmp_path: Path, place: float) -> None:
    write(tmp_path)
    path = shard_path(tmp_path, 0)
    flipped = bytearray(path.read_bytes())
    flipped[int(len(flipped) * place)] ^= 2
    path.write_bytes(flipped)
    # It may have been the key.
    assert shard_key(path) != "key-0" and shard_key(shard_path(tmp_path, 1)) == "key-1"


def test_a_broken_shard_or_another_column_is_one_message(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ArtifactError, match=r"shard-00000.safetensors: cannot be read .*mean\.9"):
        read_features(tmp_path, "mean.9", ["a"])
    whole = shard_path(tmp_path, 1).read_bytes()
    shard_path(tmp_path, 1).write_bytes(whole[: len(whole) // 2])
    assert shard_key(shard_path(tmp_path, 1)) is None
    with pytest.raises(ArtifactError, match="shard-00001.safetensors: cannot be read"):
        read_features(tmp_path, "mean.1", ["a"])


def test_a_shard_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_shard(shard_path(tmp_path, 0), ["a"], [1], {"mean.1": torch.ones(1, 2), 3: torch.ones(1)}, "key")  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_rows_of_single_examples_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path)
    stored = StoredRows(tmp_path, "last.2")
    assert [rows[:, 0].tolist() for rows in stored(["c", "a", "c"])] == [[-12, -16, -20], [0, -4], [-12, -16, -20]]
    with pytest.raises(DataError, match="does not hold all that is asked for\n  - id 'x': no features"):
        stored(["a", "x"])
    with pytest.raises(ArtifactError, match="shard-00000.safetensors: cannot be read .*delete its folder"):
        StoredRows(tmp_path, "mean.9")
