"""Files and folders that are there completely or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from w2s_rm.files import put_in_place, replacing, write_bytes, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "first")
    with replacing(path) as unfinished:
        unfinished.write_text("second", encoding="utf-8")
        assert unfinished.parent == path.parent and unfinished.name.startswith(".a.txt.")
        assert path.read_text(encoding="utf-8") == "first"
    assert path.read_text(encoding="utf-8") == "second" and names(path.parent) == ["a.txt"]


def test_after_an_error_all_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"first")
    with pytest.raises(KeyboardInterrupt), replacing(path) as unfinished:
        unfinished.write_bytes(b"sec")
        raise KeyboardInterrupt
    with pytest.raises(ValueError), replacing(tmp_path / "folder") as unfinished:
        unfinished.mkdir()
        (unfinished / "half").write_bytes(b"")
        raise ValueError
    assert path.read_bytes() == b"first" and names(tmp_path) == ["a.bin"]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old", encoding="utf-8")
    with replacing(path) as unfinished:
        unfinished.mkdir()
        (unfinished / "new").write_text("new", encoding="utf-8")
    assert names(path) == ["new"] and names(tmp_path) == ["model"]
    made = tmp_path / "model.tmp"
    made.mkdir()
    put_in_place(made, path)
    assert names(path) == [] and names(tmp_path) == ["model"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_json_is_refused_where_others_could_not_read_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1.5, None]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert names(tmp_path) == ["a.json"]


def test_every_file_of_the_package_is_written_so() -> None:
    """Renaming and temporary files are this module's business; files that grow line by line are appended to."""
    import w2s_rm

    root = Path(w2s_rm.__file__).parent
    wanted = ("os.replace", ".rename(", "mkstemp", "NamedTemporaryFile", 'open("w', "write_bytes(data)")
    found = [
        path.relative_to(root).as_posix()
        for path in sorted(root.rglob("*.py"))
        if any(word in path.read_text(encoding="utf-8") for word in wanted)
    ]
    assert found == ["data/cache.py", "files.py"], "data/cache.py opens what `replacing` gave it"
