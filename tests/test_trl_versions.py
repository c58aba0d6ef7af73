"""Two sets of versions, one suite: the pinned one, and the same with the newest trl 1.x."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def pins(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in found}


def test_the_newest_set_differs_in_trl_alone() -> None:
    pinned, newest = pins("constraints.txt"), pins("constraints-latest.txt")
    assert {name for name in pinned | newest if pinned.get(name) != newest.get(name)} == {"trl"}
    assert str(pinned["torch"].specifier).startswith("=="), "nothing may pull a newer build of several GB"


def test_both_sets_are_in_the_range_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (found,) = re.findall(r'"(trl>=[^"]+)"', text)
    allowed = Requirement(found).specifier
    pinned = str(pins("constraints.txt")["trl"].specifier).removeprefix("==")
    newest = pins("constraints-latest.txt")["trl"].specifier
    assert pinned in allowed
    # Open upwards as far as the package goes, so that a new release is tried without an edit.
    assert "<2" in str(newest) and "<2" in str(allowed)
    assert pinned not in newest
