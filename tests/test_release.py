"""What goes with a release: citation, changes, and the workflow that runs what everybody runs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import w2s_rm

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_these_authors() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # Required by version 1.2.0 of its schema, as is a title, type and authors of each reference.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert all({"title", "type", "authors"} <= set(reference) for reference in citation["references"])
    assert citation["version"] == w2s_rm.__version__
    assert f'license = "{citation["license"]}"' in PROJECT
    assert [f'{{ name = "{author["name"]}" }}' for author in citation["authors"]] == re.findall(
        r"^authors = \[(.*)\]$", PROJECT, re.MULTILINE
    )
    assert citation["references"][0]["url"] in PROJECT


def test_the_changes_begin_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line.startswith("## "))
    number, _, rest = w2s_rm.__version__.partition(".dev")
    short = number.removesuffix(".0")
    assert first == (f"## Unreleased: {short}" if rest else f"## {number}")


def test_the_workflow_runs_the_script_on_a_python_of_the_project() -> None:
    # YAML 1.1 reads the key `on` as a truth value.
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"push", "pull_request"} and workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    checkout, python, tests = job["steps"]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in (checkout, python))
    assert f'"Programming Language :: Python :: {python["with"]["python-version"]}"' in PROJECT
    cached = python["with"]["cache-dependency-path"].split()
    assert python["with"]["cache"] == "pip" and all((ROOT / name).is_file() for name in cached)
    assert tests == {"run": "bash .ci/run"} and (ROOT / ".ci" / "run").is_file()
