"""Vouch for the files of a run that a test has changed on purpose: who reads them takes them for what was made."""

from __future__ import annotations

import json
from pathlib import Path

from w2s_rm.files import write_signed
from w2s_rm.runs.folder import StageFolder


def reseal(run: Path) -> None:
    """Write plan and manifests anew, as of the files that lie there now."""
    reseal_stages(run.parent)
    plan = json.loads((run / "plan.json").read_text())
    write_signed(run / "plan.json", {name: value for name, value in plan.items() if name not in _MADE})


def reseal_stages(runs: Path) -> None:
    """Write the manifests of all stages anew."""
    for path in (runs / "stages").glob("*/manifest.json"):
        record = json.loads(path.read_text())
        StageFolder(path.parent).seal({name: value for name, value in record.items() if name not in _MADE})


_MADE = ("checksum", "files")
