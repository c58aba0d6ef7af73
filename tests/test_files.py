"""Files and folders that are there completely or not at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from w2s_rm.files import (
    append_line,
    changes,
    checksums,
    cut_unfinished_line,
    digest,
    put_in_place,
    read_signed,
    replacing,
    set_aside,
    write_bytes,
    write_json,
    write_signed,
    write_text,
)


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


def test_an_error_of_writing_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(OSError) as raised, replacing(tmp_path / "a.parquet"):
        raise OSError(28, "no space left")
    assert raised.value.filename == str(tmp_path / "a.parquet")
    with pytest.raises(OSError) as raised, replacing(tmp_path / "a.parquet"):
        raise OSError(28, "no space left", "elsewhere")
    assert raised.value.filename == "elsewhere"


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


def test_every_change_of_a_file_is_found_by_its_name(tmp_path: Path) -> None:
    whole = bytes(range(256)) * 3
    for name in ("a.bin", "b.bin", "deep/c.bin"):
        write_bytes(tmp_path / name, whole)
    made = checksums(tmp_path, ["a.bin", "b.bin", "deep/c.bin"])
    assert made["deep/c.bin"] == {"bytes": 768, "sha256": hashlib.sha256(whole).hexdigest()[:32]}
    assert digest(whole) == made["a.bin"]["sha256"]
    assert changes(tmp_path, made, content=True) == []
    flipped = bytearray(whole)
    flipped[700] ^= 4
    write_bytes(tmp_path / "a.bin", bytes(flipped))
    write_bytes(tmp_path / "deep" / "c.bin", whole[:-1])
    # The size says nothing of a flipped bit.
    assert changes(tmp_path, made, content=False) == ["deep/c.bin has 767 bytes, 768 were written"]
    (tmp_path / "b.bin").unlink()
    assert changes(tmp_path, made, content=True) == [
        "a.bin is not what was written (its checksum is another)",
        "b.bin is gone",
        "deep/c.bin has 767 bytes, 768 were written",
    ]


def test_no_bit_of_a_signed_record_can_change(tmp_path: Path) -> None:
    path, record = tmp_path / "a.json", {"é": [1, 2.5, None], "counts": {"n": 3}, "pair": (1, 2)}
    write_signed(path, record)
    written = path.read_bytes()
    read = read_signed(path)
    assert read == {"é": [1, 2.5, None], "counts": {"n": 3}, "pair": [1, 2]}
    for bit in range(8 * len(written)):
        flipped = bytearray(written)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            # What a flipped bit leaves readable must say the same.
            assert read_signed(path) == read, bit
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not parse"),
        ("[1]", "holds no JSON object"),
        ('{"a": 1}', "has no checksum: an older version wrote it"),
        ('{"a": 1, "checksum": "0"}', "is not what was written"),
    ],
)
def test_what_is_no_signed_record_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_signed(tmp_path / "a.json")


def test_what_is_in_the_way_is_set_aside_under_a_free_name(tmp_path: Path) -> None:
    for content in ("one", "two"):
        write_text(tmp_path / "stage" / "file", content)
        set_aside(tmp_path / "stage")
    assert names(tmp_path) == ["stage.aside-1", "stage.aside-2"]
    assert (tmp_path / "stage.aside-2" / "file").read_text(encoding="utf-8") == "two"


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


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_line_is_added_after_what_a_killed_process_has_left_of_one(tmp_path: Path, cut: int) -> None:
    """Wherever in its line it was killed: lines before it stay, and nothing stays of its own."""
    path, last = tmp_path / "new" / "lines.jsonl", b'{"x": "\xc3\xa9"}\n'
    append_line(path, "first")
    path.write_bytes(b"first\n" + last[:cut])
    append_line(path, "next")
    assert path.read_bytes() == b"first\nnext\n"


def test_an_unfinished_line_is_cut_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert not cut_unfinished_line(path) and not path.exists()
    for content, left in ((b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"a" * 3_000_000, b"")):
        path.write_bytes(content)
        assert cut_unfinished_line(path) == (content != left)
        assert path.read_bytes() == left


def test_an_object_without_its_line_break_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"x": 1}\n{"x": 2}')
    append_line(path, "next")
    assert path.read_bytes() == b'{"x": 1}\n{"x": 2}\nnext\n'
    path.write_bytes(b'{"x": "\xc3\xa9"}')
    assert not cut_unfinished_line(path) and path.read_bytes() == b'{"x": "\xc3\xa9"}\n'
    # A number may be the beginning of another one.
    path.write_bytes(b"12")
    assert cut_unfinished_line(path) and path.read_bytes() == b""


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Files may grow to 16 bytes only."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from w2s_rm.files import append_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))\n"
        "path = Path(sys.argv[1]); append_line(path, 'short')\n"
        "try:\n    append_line(path, 'x' * 30)\nexcept OSError as error: print(error.strerror)\n"
        "append_line(path, 'again')"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True)
    assert run.stdout == "File too large\n", run.stderr
    assert (tmp_path / "a").read_text() == "short\nagain\n"


def test_processes_add_lines_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    code = (
        "import sys; from pathlib import Path; from w2s_rm.files import append_line\n"
        "for n in range(100): append_line(Path(sys.argv[1]), sys.argv[2] * 2000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(path.read_text().splitlines()) == [name * 2000 for name in "abc" for _ in range(100)]
