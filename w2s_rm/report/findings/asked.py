"""What a suite asks of its runs, as it is kept in `asked.json` beside their joint report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm import options
from w2s_rm.errors import ArtifactError
from w2s_rm.files import read_signed, write_signed
from w2s_rm.report.hypotheses import Hypothesis

_FILE = "asked.json"


@dataclass(frozen=True)
class Question:
    """A finding that is to be tested.

    Args:
        finding (`str`): What is stated, in a sentence.
        hypothesis (`Mapping`): `name` of a hypothesis, and its options.
        note (`str`, *optional*): What a reader should know, whatever the verdict.
    """

    finding: str
    hypothesis: Mapping[str, Any]
    note: str | None = None

    def built(self) -> Hypothesis:
        """Return the hypothesis.

        Raises:
            ConfigError: There is none of that name, or its options are wrong.
        """
        hypothesis: Hypothesis = options.build("hypotheses", self.hypothesis)
        return hypothesis


@dataclass(frozen=True)
class Asked:
    """What is asked of several runs.

    Args:
        runs (`Mapping[str, str]`): By the name that hypotheses use the name of the run's folder.
        questions (`tuple[Question, ...]`): All of them; their verdicts hold together.
    """

    runs: Mapping[str, str]
    questions: tuple[Question, ...]


def write_asked(folder: Path, asked: Asked) -> None:
    """Write `asked.json`.

    Args:
        folder (`Path`): Where the joint report goes.
        asked ([`Asked`]): What to write.
    """
    # With a checksum, as a plan has one: verdicts are of what the suite stated.
    write_signed(folder / _FILE, dataclasses.asdict(asked))


def read_asked(folder: Path) -> Asked | None:
    """Read `asked.json`; `None` where a folder has none.

    Args:
        folder (`Path`): A folder of a report.

    Raises:
        ArtifactError: It is not what was written.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        content = read_signed(path)
        return Asked(content["runs"], tuple(Question(**entry) for entry in content["questions"]))
    # `TypeError` comes of a field that questions do not have, such as one of another version.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: {error}; write it again with `w2s-rm run`") from error
