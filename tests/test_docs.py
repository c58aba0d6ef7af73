"""What the documents show is true: commands parse, paths and links lead somewhere, recipes and Python are checked."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm import cli
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.experiment.marked_yaml import parse_value
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.suite import load_suite
from w2s_rm.types import Example

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / folder / "README.md" for folder in ("recipes", "examples", "benchmarks")]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)(?:(?: {4}.*)?\n)*")
_FOLDERS = "recipes|deepspeed_configs|examples|benchmarks|docs|tests|w2s_rm"
_PATH = re.compile(rf"(?<![\w./<-])(?:\.\./)?((?:{_FOLDERS})/[\w./-]*\.(?:py|yaml|md|png|slurm|jinja))\b")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Shown:
    """Something that a document shows, with its place."""

    place: str
    text: str

    def __str__(self) -> str:
        return self.place


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def place(path: Path, start: int) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{read(path)[:start].count(chr(10)) + 1}"


def fenced(language: str) -> list[Shown]:
    return [
        Shown(place(path, found.start()), found[2])
        for path in PAGES
        for found in _FENCE.finditer(read(path))
        if found[1] == language
    ]


def commands(program: str) -> list[Shown]:
    """Commands of a program in indented blocks, in the headers of recipes, and within a line where they are whole."""
    blocks = [
        Shown(place(path, found.start()), textwrap.dedent(found[0]))
        for path in PAGES
        for found in _INDENTED.finditer(_FENCE.sub(lambda block: "\n" * block[0].count("\n"), read(path)))
    ]
    blocks += [Shown(place(path, 0), re.sub(r"^# *", "", read(path), flags=re.MULTILINE)) for path in RECIPES]
    return [
        Shown(block.place, line)
        for block in blocks
        for line in block.text.replace("\\\n", " ").splitlines()
        if re.match(rf"(?:[A-Z_]+=\S+ )*{re.escape(program)} ", line)
    ]


def words(command: str) -> list[str]:
    """What a shell would make of a command, without what it sets in the environment."""
    return [word for word in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", word)]


W2S = commands("w2s-rm")
PLANNED = {shown.text: shown for shown in W2S if words(shown.text)[1] == "plan" and "recipes/" in shown.text}


def test_what_is_looked_for_is_found() -> None:
    """A change of form must not leave the tests below without anything to test."""
    assert len(W2S) >= 60 and len(PLANNED) >= 2 and len(fenced("yaml")) >= 12 and len(fenced("python")) >= 9
    assert len(commands("python")) >= 12
    assert len(commands("accelerate launch")) >= 5 and len(commands("make")) >= 4


@pytest.mark.parametrize("shown", W2S, ids=str)
def test_a_command_parses(shown: Shown) -> None:
    _, *arguments = words(shown.text)
    cli._parse(arguments)


def test_a_command_within_a_line_has_the_options_that_are_there() -> None:
    (choices,) = (action.choices for action in cli.build_parser()._actions if isinstance(action.choices, dict))
    inside = [found[1] for path in PAGES for found in re.finditer(r"`w2s-rm ([^`]+)`", read(path))]
    assert len(inside) >= 20
    for text in inside:
        name, *rest = text.split()
        assert name in cli.COMMANDS, text
        options = [word for word in rest if word.startswith("--")]
        known = {string for action in choices[name]._actions for string in action.option_strings}
        assert set(options) <= known, text


@pytest.mark.parametrize("shown", PLANNED.values(), ids=str)
def test_a_plan_is_made(shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, *arguments = words(shown.text)
    assert cli.main(arguments) == 0


@pytest.mark.parametrize("shown", [shown for shown in W2S if words(shown.text)[1] == "list"], ids=str)
def test_a_list_is_printed(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    _, *arguments = words(shown.text)
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("shown", commands("accelerate launch"), ids=str)
def test_a_launch_parses_and_its_program_is_there(shown: Shown) -> None:
    from accelerate.commands.launch import launch_command_parser

    arguments = launch_command_parser().parse_args(words(shown.text)[2:])
    assert arguments.config_file is None or (ROOT / arguments.config_file).is_file()
    if arguments.module:
        assert importlib.util.find_spec(arguments.training_script) is not None
    else:
        assert (ROOT / arguments.training_script).is_file()


@pytest.mark.parametrize("shown", commands("python"), ids=str)
def test_a_benchmark_has_the_options_that_are_shown(shown: Shown) -> None:
    _, flag, module, *arguments = words(shown.text)
    assert flag == "-m" and (ROOT / f"{module.replace('.', '/')}.py").is_file()
    sources = "".join(read(path) for path in (ROOT / "benchmarks").glob("*.py"))
    assert [word for word in arguments if word.startswith("--") and f'"{word}"' not in sources] == []


def test_targets_of_make_and_extras_are_there() -> None:
    makefile, project = read(ROOT / "Makefile"), read(ROOT / "pyproject.toml")
    for shown in commands("make"):
        assert re.search(rf"^{words(shown.text)[1]}:", makefile, re.MULTILINE), shown
    extras = {found for path in PAGES for found in re.findall(r"w2s-rm\[(\w+)\]", read(path))}
    assert extras and [extra for extra in extras if f"\n{extra} = [" not in project] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_and_links_lead_somewhere(path: Path) -> None:
    text = read(path)
    # Those that begin with `my` are the reader's.
    named = [found for found in _PATH.findall(text) if not Path(found).name.startswith("my")]
    assert [found for found in named if not any((folder / found).exists() for folder in (ROOT, path.parent))] == []
    wrong = []
    for link in _LINK.findall(text):
        target, _, anchor = link.partition("#")
        to = path.parent / target if target else path
        if not link.startswith("http") and not (to.exists() and (not anchor or anchor in anchors(to))):
            wrong.append(link)
    assert not wrong


def anchors(path: Path) -> set[str]:
    """The names of headings, as sites and code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", read(path)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("shown", fenced("yaml"), ids=str)
def test_a_recipe_that_is_shown_is_one(shown: Shown, tmp_path: Path) -> None:
    content = parse_value(textwrap.dedent(shown.text))
    if shown.text.startswith(" "):
        # Lines from the part `methods` of the recipe before.
        content = {"methods": content}
    file = tmp_path / "shown.yaml"
    if "recipes" in content:
        folder = ROOT / "recipes"
        entries = [{"recipe": entry} if isinstance(entry, str) else entry for entry in content["recipes"]]
        content["recipes"] = [{**entry, "recipe": str(folder / entry["recipe"])} for entry in entries]
    elif "pairs" not in content:
        # What a block leaves out stands elsewhere in the recipe; a policy needs a validation split.
        world = {"name": "world_preference", "n_validation": 100}
        content = {"name": "a", "task": world, "weak": {"pretrain": {}}, "strong": {"pretrain": {}}, **content}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_suite(file).recipes


def test_the_recipe_of_the_readme_is_whole(tmp_path: Path) -> None:
    whole = next(shown for shown in fenced("yaml") if shown.place.startswith("README.md"))
    (tmp_path / "my.yaml").write_text(whole.text, encoding="utf-8")
    assert load_recipe(tmp_path / "my.yaml").seeds == (0, 1, 2)


def imported(tree: ast.Module) -> dict[str, Any]:
    """What a block of Python imports, by the name that it gives it."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module.startswith("trl.experimental"):
                # Later versions of trl have fewer trainers.
                module = pytest.importorskip(node.module)
            else:
                module = importlib.import_module(node.module)
            found |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    return found


def calls(tree: ast.Module, names: dict[str, Any]) -> Iterator[tuple[str, list[str], inspect.Signature]]:
    """Calls of what is imported, with their keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            keywords = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
            yield node.func.id, keywords, inspect.signature(names[node.func.id])


@pytest.mark.parametrize("shown", fenced("python"), ids=str)
def test_python_compiles_and_uses_what_is_there(shown: Shown) -> None:
    tree = ast.parse(shown.text)
    names = imported(tree)
    assert names
    for name, keywords, signature in calls(tree, names):
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
        assert takes_all or set(keywords) <= set(signature.parameters), name


def shown_in(page: str, text: str) -> str:
    (found,) = (shown.text for shown in fenced("python") if shown.place.startswith(f"{page}:") and text in shown.text)
    return found


def test_python_of_the_checks_runs() -> None:
    examples = [Example(f"{n}", f"{n}", f"p{n} ", (f"yes {n}", "no"), n % 2) for n in range(90)]
    names: dict[str, Any] = {"weak": examples[:30], "relabel": examples[30:60], "test": examples[60:]}
    exec(compile(shown_in("docs/check.md", "check_examples"), "check.md", "exec"), names)
    assert names["result"].length_only.value == 0.5


def test_python_of_the_labels_runs(tmp_path: Path) -> None:
    labels = [WeakLabel(f"{n}", ("a", "b"), (n / 10, 1 - n / 10)) for n in range(1, 10)]
    write_labels(tmp_path / "weak_labels.parquet", labels)
    code = shown_in("docs/weak_labels.md", "transform_labels").replace("runs/stages/relabel-<hash>", str(tmp_path))
    names: dict[str, Any] = {}
    exec(compile(code, "weak_labels.md", "exec"), names)
    assert {probability for label in names["labels"] for probability in label.probabilities} == {0.0, 1.0}


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(SystemExit):
        cli._parse(["plan"])
    with pytest.raises(SystemExit):
        cli._parse(["list", "recipe"])
    assert isinstance(cli._parse(["list", "recipes"]), argparse.Namespace)
