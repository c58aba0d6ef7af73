"""A section of a report is one file: found by its name, in its place, or given as a file of one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm import catalog
from w2s_rm.cli import main
from w2s_rm.errors import ConfigError
from w2s_rm.report import write_report
from w2s_rm.report.sections import Section, find_sections

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
OWN = str(Path(__file__).with_name("most_seeds.py"))


@pytest.mark.parametrize("name", catalog.names("sections"))
def test_every_section_is_one(name: str) -> None:
    section = catalog.lookup("sections", name)
    assert issubclass(section, Section) and section.__doc__
    assert section().rows([]) == []


def test_no_two_sections_are_in_one_place() -> None:
    places = [section.place for section in find_sections().values()]
    assert places == sorted(set(places))


@pytest.fixture
def runs(make_run: MakeRun, answers: Answers) -> list[Path]:
    both = {"students": {"naive": [answers(70)]}, "weak": [answers(60)], "ceiling": [answers(90)]}
    more = {name: models * 2 for name, models in both.items() if isinstance(models, list)}
    return [make_run("one", **both), make_run("two", students={"naive": [answers(70)] * 2}, **more)]


def test_a_section_of_ones_own(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    main(["report", *map(str, runs), "--output", str(output), "--section", OWN])
    text = (output / "report.md").read_text()
    assert "## Seeds\n\nMost seeds: two." in text and "one has one seed" in text
    assert text.index("## Results") < text.index("## Seeds") < text.index("## How to read this")
    expected = [{"recipe": "one", "seeds": 1}, {"recipe": "two", "seeds": 2}]
    assert json.loads((output / "most_seeds.json").read_text()) == expected
    with (output / "most_seeds.csv").open(newline="") as stream:
        assert [line["recipe"] for line in csv.DictReader(stream)] == ["one", "two"]
    assert str(output / "most_seeds.csv") in capsys.readouterr().out and not (output / "most_seeds.png").exists()


def test_a_section_without_rows_is_left_out(runs: list[Path], tmp_path: Path) -> None:
    written = write_report(runs[:1], tmp_path, sections=[OWN])
    assert "Seeds\n" not in (tmp_path / "report.md").read_text().replace("Each seed", "")
    assert not [path for path in written if path.stem in ("most_seeds", "policy", "features", "comparison")]


def test_a_file_without_a_section_is_refused_before_anything_is_written(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("")
    with pytest.raises(ConfigError, match="no class Nothing in it"):
        write_report(runs, tmp_path / "out", sections=[str(tmp_path / "nothing.py")])
    assert not (tmp_path / "out").exists()
