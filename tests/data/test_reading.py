"""Rows come from every kind of place, and a broken place is named with its line."""

import gzip
import hashlib
import json
import subprocess
import sys

import pytest

from w2s_rm.data.reading import content_version, is_hub_id, read_rows, require_columns, resolve_path
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.types import Row

ROWS = [{"prompt": f"p{i} ü", "chosen": 'good\n,"x"', "rejected": "bad", "split": "ab"[i % 2]} for i in range(5)]


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(path, content):
    path.write_bytes(content)
    return path


def write_csv(path, rows=ROWS):
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path, rows=ROWS):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def values(path, *args, **kwargs):
    return [dict(row.values) for row in read_rows(path, *args, **kwargs)]


def test_every_file_format_gives_the_same_rows(tmp_path):
    plain = write(tmp_path / "a.jsonl", jsonl(ROWS))
    zipped = write(tmp_path / "a.jsonl.gz", gzip.compress(jsonl(ROWS), mtime=0))
    table = write_csv(tmp_path / "a.csv")
    zipped_table = write(tmp_path / "b.csv.gz", gzip.compress(table.read_bytes(), mtime=0))
    for path in (plain, zipped, table, zipped_table, write_parquet(tmp_path / "a.parquet")):
        assert values(path) == ROWS, path


def test_places_name_file_and_line(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"a": 1}\n\n{"a": 2}\n')
    assert [row.place for row in read_rows(path)] == [f"{path}:1", f"{path}:3"]
    # The second row's cell spans two lines, so it ends on line 4.
    path = write(tmp_path / "a.csv", b'a,b\n1,2\n"x\ny",3\n')
    assert [row.place for row in read_rows(path)] == [f"{path}:2", f"{path}:4"]


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert values(write(tmp_path / "a.csv", b"\xef\xbb\xbfa\n1\n")) == [{"a": "1"}]
    assert values(write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": 1}\n')) == [{"a": 1}]


def test_split_of_a_file_is_its_column(tmp_path):
    path = write(tmp_path / "a.jsonl", jsonl(ROWS))
    assert [row["prompt"] for row in values(path, "b")] == ["p1 ü", "p3 ü"]
    with pytest.raises(DataError, match="no row has split 'c'; known: a, b"):
        values(path, "c")
    with pytest.raises(DataError, match="no column 'split'"):
        values(write(tmp_path / "b.jsonl", b'{"a": 1}\n'), "train")


def test_split_of_a_folder_is_its_files(tmp_path):
    write(tmp_path / "train-0.jsonl", jsonl(ROWS[:2]))
    write(tmp_path / "train-1.jsonl.gz", gzip.compress(jsonl(ROWS[2:3]), mtime=0))
    write(tmp_path / "test.jsonl", jsonl(ROWS[3:]))
    write(tmp_path / "README.md", b"no data")
    assert values(tmp_path, "train") == ROWS[:3]
    assert values(tmp_path, "test") == ROWS[3:]
    assert sorted(row["prompt"] for row in values(tmp_path)) == [row["prompt"] for row in ROWS]
    with pytest.raises(DataError, match="no file is named tset"):
        values(tmp_path, "tset")


def test_sub_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "train.jsonl", jsonl(ROWS))
    assert values(tmp_path, "train", data_dir="sub") == ROWS
    with pytest.raises(DataError, match="no data files.*it holds sub"):
        values(tmp_path)


def test_saved_dataset(tmp_path):
    import datasets

    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk(tmp_path / "two")
    assert values(tmp_path / "one") == ROWS
    assert values(tmp_path / "two", "test") == ROWS[:1]
    assert values(tmp_path / "two", "train+test") == ROWS + ROWS[:1]
    assert [row.place for row in read_rows(tmp_path / "two", "test")] == [f"{tmp_path / 'two'}[test] row 1"]
    with pytest.raises(DataError, match="has the splits train, test; name one"):
        values(tmp_path / "two")
    with pytest.raises(DataError, match="no split 'tset'; did you mean 'test'"):
        values(tmp_path / "two", "tset")
    with pytest.raises(DataError, match="one dataset without splits"):
        values(tmp_path / "one", "train")


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path / "pairs.jsonl", jsonl(ROWS))
    for read in (content_version, values):
        with pytest.raises(DataError, match="no such file or folder; did you mean 'pairs.jsonl'"):
            read(str(tmp_path / "pairz.jsonl"))
    with pytest.raises(DataError, match="no such file or folder"):
        values("nowhere/pairs.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a\.jsonl:2: broken JSON .*mend"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', r"a\.jsonl:2: list instead of an object"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', r"a\.jsonl:2: not UTF-8 .*save it as UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"a": "\xff"}\n', mtime=0), r"a\.jsonl\.gz:1: not UTF-8"),
        ("a.jsonl", b"", r"a\.jsonl: holds no rows"),
        ("a.jsonl", b"\n\n", r"a\.jsonl: holds no rows"),
        ("a.csv", b"a,b\n", r"a\.csv: holds no rows"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", r"a\.csv:3: 3 cells where the header has 2"),
        ("a.csv", b"a,b\n1\n", r"a\.csv:2: 1 cells where the header has 2"),
        ("a.csv", b'a,b\n1,"2" 3\n', r"a\.csv:2: broken CSV"),
        ("a.csv", b"a,a\n1,2\n", r"a\.csv:1: the header names 'a' twice"),
        ("a.parquet", b"PAR1 no table", r"a\.parquet: broken Parquet file"),
        ("a.txt", b"text", r"a\.txt: unknown kind of file; .*\.jsonl"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        values(write(tmp_path / name, content))


def test_truncated_gzip_names_the_line_reached(tmp_path):
    rows = [{"id": i, "text": hashlib.sha256(str(i).encode()).hexdigest()} for i in range(2000)]
    whole = gzip.compress(jsonl(rows), mtime=0)
    path = write(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2])
    read = []
    with pytest.raises(DataError, match="gzip truncated or damaged") as raised:
        for row in read_rows(path):
            read.append(dict(row.values))
    assert 0 < len(read) < 2000 and read == rows[: len(read)]
    assert f"{path}:{len(read) + 1}: " in str(raised.value)


def test_damaged_gzip(tmp_path):
    whole = bytearray(gzip.compress(jsonl(ROWS) * 500, mtime=0))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:\d+: "):
        values(write(tmp_path / "a.jsonl.gz", bytes(whole)))


def test_require_columns_names_file_columns_and_nearest():
    row = Row("pairs.csv:2", {"prompt": "", "choosen": "", "rejected": ""})
    with pytest.raises(DataError) as raised:
        require_columns(row, {"prompt_column": "prompt", "chosen_column": "chosen", "id_column": "zzz"})
    message = str(raised.value)
    assert message.startswith("pairs.csv:2: no column 'chosen' (option chosen_column); did you mean 'choosen'?")
    assert "no column 'zzz' (option id_column)" in message
    assert message.endswith("(columns there are: prompt, choosen, rejected)")


def test_hub_ids():
    assert is_hub_id("Anthropic/hh-rlhf") and is_hub_id("imdb")
    assert not is_hub_id("data/pairs.jsonl") and not is_hub_id("data/pairs.csv.gz")
    assert not is_hub_id("/no/such/path") and not is_hub_id("./no/such") and not is_hub_id("a/b/c")
    assert content_version("Anthropic/hh-rlhf") == "hub:Anthropic/hh-rlhf@main"
    assert content_version("Anthropic/hh-rlhf", revision="53bb19a") == "hub:Anthropic/hh-rlhf@53bb19a"


def test_hub_is_asked_with_all_options(monkeypatch):
    import datasets

    asked = {}

    def load_dataset(*args, **kwargs):
        asked.update(kwargs, args=args)
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    rows = list(read_rows("some/pairs", "train", config_name="en", revision="abc", data_dir="sub"))
    assert asked == {"args": ("some/pairs", "en"), "split": "train", "revision": "abc", "data_dir": "sub"}
    assert [dict(row.values) for row in rows] == ROWS
    assert rows[0].place == "some/pairs row 1"


def test_unreachable_hub_is_said(tmp_path):
    code = "from w2s_rm.data.reading import read_rows; next(read_rows('no-such-owner/no-such-pairs', 'train'))"
    env = {"HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert "DataError: no-such-owner/no-such-pairs: no local file or folder has this name" in done.stderr
    assert "give a local path" in done.stderr


def test_content_version_follows_content_not_name(tmp_path):
    a = write(tmp_path / "a.jsonl", jsonl(ROWS))
    b = write(tmp_path / "b.jsonl", jsonl(ROWS))
    assert content_version(str(a)) == content_version(str(b))
    assert content_version(str(a)) == "sha256:" + hashlib.sha256(jsonl(ROWS)).hexdigest()
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    write(folder / "sub" / "a.jsonl", b"1")
    before = content_version(str(folder))
    write(folder / ".hidden", b"a lock file")
    assert content_version(str(folder)) == before
    write(folder / "sub" / "a.jsonl", b"2")
    changed = content_version(str(folder))
    (folder / "sub" / "a.jsonl").rename(folder / "sub" / "b.jsonl")
    assert len({before, changed, content_version(str(folder))}) == 3


def test_package_paths(tmp_path, monkeypatch):
    package = tmp_path / "some_weights" / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    write(package / "rows.jsonl", jsonl(ROWS))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert resolve_path("package:some_weights/model") == str(package)
    assert values("package:some_weights/model/rows.jsonl") == ROWS
    assert content_version("package:some_weights/model/rows.jsonl").startswith("sha256:")
    with pytest.raises(ConfigError, match="there is no 'modell' in the package 'some_weights'"):
        resolve_path("package:some_weights/modell")
    with pytest.raises(ConfigError, match="pip install not-there-at-all"):
        resolve_path("package:not_there_at_all/model")
    with pytest.raises(ConfigError, match="no package"):
        resolve_path("package:os.path/model")


def test_other_paths_stay(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert resolve_path("owner/name") == "owner/name"
    assert resolve_path("/a/b") == "/a/b"
    assert resolve_path("~/b") == "/home/someone/b"


def test_imports_stay_light():
    code = (
        "import sys, w2s_rm.tasks.preference, w2s_rm.tasks.anthropic_hh, w2s_rm.data.label_store, w2s_rm.data.splits\n"
    )
    code += "print([name for name in ('torch', 'datasets', 'pyarrow', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
