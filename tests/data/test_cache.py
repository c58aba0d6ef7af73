"""The cache folder, and arrays that are written whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from w2s_rm.data.cache import cache_folder, write_arrays


def test_the_folder_is_the_users_unless_one_is_given(monkeypatch, tmp_path):
    monkeypatch.delenv("W2S_RM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "w2s-rm"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "w2s-rm"
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "given"))
    assert cache_folder() == tmp_path / "given"


def test_arrays_come_back_and_a_failed_writing_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "arrays.npz"
    write_arrays(path, {"a": np.arange(3, dtype=np.int16)})
    with np.load(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2] and arrays["a"].dtype == np.int16

    def full(file, **_arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        write_arrays(path, {"a": np.zeros(9)})
    assert [entry.name for entry in path.parent.iterdir()] == ["arrays.npz"]
    monkeypatch.undo()
    with np.load(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
