"""The site, without the packages that build it: every guide and every public package has its place in it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

import w2s_rm

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "pages"
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
# What the command line is made of, and what stages and reports are: read in the code, used by nobody else.
INTERNAL = {"cli", "commands", "programs", "render"}


def leaves(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in leaves(part)]


def test_every_guide_and_every_page_of_the_reference_stands_in_the_navigation_once() -> None:
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    guides |= {path.name for path in ROOT.glob("*.md")}
    guides |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/README.md") if path.parent != PAGES}
    reference = {path.relative_to(PAGES).as_posix() for path in (PAGES / "api").glob("*.md")}
    assert Counter(leaves(CONFIG["nav"])) == Counter(guides | reference)
    assert [page for page in guides | reference if not (PAGES / page).is_file()] == [], "link what is new into pages/"


def test_every_public_part_of_the_package_has_its_place_in_the_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (PAGES / "api").glob("*.md"))
    shown = re.findall(r"^::: w2s_rm\.(\w+)$", text, re.MULTILINE)
    assert len(shown) == text.count(":::")
    package = Path(w2s_rm.__file__).parent
    parts = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert Counter(shown) == Counter(parts - {"__init__"} - INTERNAL)
    assert parts >= INTERNAL


def test_what_builds_the_site_is_pinned() -> None:
    pinned = {Requirement(line).name for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    (extra,) = re.findall(r"^docs = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {Requirement(text).name for text in re.findall(r'"([^"]+)"', extra)} <= pinned
