"""YAML with places: what it parses, and where it says a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.marked_yaml import MarkedYaml, load_marked, parse_value


def load(folder: Path, text: str, *overrides: str) -> MarkedYaml:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_marked(path, list(overrides))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("3E5", 300000.0),
        ("-2e3", -2000.0),
        ("1.5e-2", 0.015),
        (".5e1", 5.0),
        ("0.5", 0.5),
        ("12", 12),
        ("1e-4x", "1e-4x"),
        ("e4", "e4"),
        ("'1e-4'", "1e-4"),
        ("2024-01-31", "2024-01-31"),
        ("true", True),
        ("[0, 1]", [0, 1]),
        ("{name: entropy, max_weight: 1e-1}", {"name": "entropy", "max_weight": 0.1}),
    ],
)
def test_values(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_places(tmp_path: Path) -> None:
    marked = load(tmp_path, "a: 1\nb:\n  c: 2\n  d: {e: 3}\n")
    assert marked.data == {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert marked.place(("a",)) == "line 1"
    assert marked.place(("b", "c")) == "line 3"
    assert marked.place(("b", "d", "e")) == "line 4"
    assert marked.place(("b", "missing")) == "line 2", "the nearest parent that stands in the file"
    assert marked.place(("missing",)) == "line 1"


def test_overrides(tmp_path: Path) -> None:
    text = "seeds: [0]\ntrain: {learning_rate: 1e-3, bf16: true}\nweak:\n"
    marked = load(tmp_path, text, "seeds=[3, 4]", "train.bf16=null", "strong.train.max_length=5", "weak.labels=a=b.csv")
    assert marked.data == {
        "seeds": [3, 4],
        "train": {"learning_rate": 0.001},
        "strong": {"train": {"max_length": 5}},
        "weak": {"labels": "a=b.csv"},
    }
    assert marked.place(("seeds",)) == "command line"
    assert marked.place(("strong", "train", "max_length")) == "command line"
    assert marked.place(("train", "learning_rate")) == "line 2"


def test_override_of_a_whole_mapping_hides_the_lines_below_it(tmp_path: Path) -> None:
    marked = load(tmp_path, "a: 1\ntrain:\n  x: 1\n", "train={x: 2}")
    assert marked.place(("train", "x")) == "command line"


def test_override_of_one_alias_leaves_the_other(tmp_path: Path) -> None:
    marked = load(tmp_path, "weak: &m {path: x}\nstrong: *m\nmore: {<<: *m, path: z}\n", "weak.path=y")
    assert marked.data == {"weak": {"path": "y"}, "strong": {"path": "x"}, "more": {"path": "z"}}


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("seeds", "'seeds' is no override; write key=value"),
        ("=1", "'=1' is no override"),
        ("a..b=1", "'a..b=1' is no override"),
        ("name.x=1", "name is a value, it holds no keys"),
        ("seeds=[1", "'[1' is no YAML value"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "name: x\n", override)
    assert str(caught.value).startswith("command line: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", ["does not parse", "line 3, column 2", "from line 2"]),
        ("a: 1\n\tb: 2\n", ["does not parse", "line 2"]),
        ("a: *nowhere\n", ["does not parse", "line 1", "nowhere"]),
        ("a: 1\n---\nb: 2\n", ["does not parse", "line 2"]),
        ("a: &x {b: *x}\n", ["inside its own anchor"]),
        ("- 1\n- 2\n", ["is a mapping of keys to values"]),
        ("", ["is a mapping of keys to values"]),
        ("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", ["line 4: key b.c", "in line 3", "line 5: key a ", "in line 1"]),
        ("a: 1\n? [x, y]\n: 2\n", ["line 2: a key is one word"]),
        ("a: 1\nb: !!python/object:os.system x\n", ["line 2: b: tag", "write a plain value"]),
        ("a: 1\nb: [1, !!set {x}]\n", ["line 2: b.1: tag !!set"]),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "recipe.yaml") in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such recipe"):
        load_marked(tmp_path / "absent.yaml", [])
    with pytest.raises(ConfigError, match="no such recipe"):
        load_marked(tmp_path, [])
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match=r"no UTF-8 text \(byte 3\)"):
        load_marked(tmp_path / "bytes.yaml", [])
