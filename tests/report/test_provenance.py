"""How a run came about, from what it left: nothing private, nothing that is not on file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.errors import ArtifactError
from w2s_rm.render.elements import Code, Heading, Paragraph, Table
from w2s_rm.report import collect
from w2s_rm.report.content import page_blocks
from w2s_rm.report.examples import collect_examples
from w2s_rm.report.provenance import provenance_blocks
from w2s_rm.types import Example

MakeRun = Callable[..., Path]


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    examples = [Example("e0000", "g", "prompt", ("a", "b"), 1)]
    models = {"weak": [[1.0]] * 2, "students": {"naive": [[1.0]] * 2}, "ceiling": None}
    return make_run(**models, examples=examples)


def test_recipe_commands_versions_and_stages(run: Path) -> None:
    (run / "recipe.yaml").write_text("name: quickstart\ntask: {path: /home/me/pairs.jsonl}\nweak: {labels: ../l}\n")
    for place, packages in (("prepare-quickstart-None-None-None", "1.0"), ("evaluate-quickstart-weak-None-0", "1.1")):
        path = run.parent / "stages" / place / "manifest.json"
        versions = {"packages": {"trl": packages, "torch": "2"}, "code_revision": "abc"}
        path.write_text(json.dumps(json.loads(path.read_text()) | versions))
    title, name, recipe, commands, packages_text, code, table = provenance_blocks([run])
    assert (title, name) == (Heading("How it was run", 2), Heading("quickstart", 3))
    # Of one's own folders only what they hold; what is relative runs elsewhere, too.
    assert recipe == Code("name: quickstart\ntask:\n  path: pairs.jsonl\nweak:\n  labels: ../l\n")
    assert isinstance(commands, Code) and commands.text.splitlines()[0].startswith(
        "w2s-rm run runs/quickstart/recipe.yaml "
    )
    assert packages_text == Paragraph("Packages: torch 2, trl 1.0, trl 1.1.") and code == Paragraph("Code: abc.")
    assert isinstance(table, Table) and table.lines[0] == (
        *("prepare", "–", "–", "–"),
        "stages/prepare-quickstart-None-None-None",
    )
    assert ("evaluate", "student", "naive", "1", "stages/evaluate-quickstart-student-naive-1") in table.lines


def test_what_is_not_on_file_is_not_told(run: Path) -> None:
    kinds = [type(block) for block in provenance_blocks([run])]
    assert kinds == [Heading, Heading, Code, Table]


def test_a_broken_recipe_is_named(run: Path) -> None:
    (run / "recipe.yaml").write_text("name: [")
    with pytest.raises(ArtifactError, match="recipe.yaml: cannot be read as YAML"):
        provenance_blocks([run])


def test_the_page_has_examples_first_and_provenance_last(run: Path) -> None:
    content = page_blocks(collect(run), [], [collect_examples(run)], [run])
    titles = [block.text for block in content if isinstance(block, Heading) and block.level == 2]
    assert titles[0] == "Warnings" and titles[1].startswith("Examples") and titles[2] == "Results"
    assert titles[-1] == "How it was run"
