"""What is said of bad input is as it stands in `tests/golden`, and is one message that a user can act on."""

from __future__ import annotations

from pathlib import Path

import golden_messages
import pytest

AREAS = golden_messages.areas()


@pytest.mark.parametrize("area", AREAS)
def test_messages(area: str) -> None:
    content = golden_messages.load(area)
    wanted = {case["what"]: case["message"] for case in content["cases"]}
    assert len(wanted) == len(content["cases"]), "each case has a name of its own"
    found = dict(zip(wanted, golden_messages.messages(area), strict=True))
    assert found == wanted, "if it is better so: python tests/golden_messages.py"


def test_there_are_two_hundred_kinds_of_bad_input() -> None:
    assert sum(len(golden_messages.load(area)["cases"]) for area in AREAS) >= 200


def test_the_files_are_as_they_are_written() -> None:
    for area in AREAS:
        text = (Path(golden_messages.FOLDER) / f"{area}.yaml").read_text(encoding="utf-8")
        content = golden_messages.load(area)
        assert text == golden_messages.file_text(content, [case["message"] for case in content["cases"]])
