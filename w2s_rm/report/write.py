"""Write the files of a report."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from w2s_rm.errors import ConfigError
from w2s_rm.report.content import blocks
from w2s_rm.report.markdown import markdown
from w2s_rm.report.page import page
from w2s_rm.report.rows import ReportRow, row_record
from w2s_rm.report.table import collect

_NOT_FLAT = ("counts", "per_seed")


def write_report(run_dirs: Sequence[Path], output_dir: Path) -> list[Path]:
    """Write `report.md`, `.csv`, `.json`, `.html`, `plot.png` and `plot.svg` over one or several runs.

    The files depend on the runs' results alone: same results, same bytes.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs, shown in this order.
        output_dir (`Path`): Where to write; made if absent. Files of an earlier report are replaced.

    Raises:
        ArtifactError: A run is not finished or its files are broken; nothing is written then.
        DataError: Models of one run were scored on different test examples; nothing is written then.
        ConfigError: No runs were given.
    """
    from w2s_rm.report.plots import plot

    if not run_dirs:
        raise ConfigError("a report needs at least one run folder, such as runs/quickstart")
    rows = [row for run_dir in run_dirs for row in collect(run_dir)]
    content = blocks(rows)
    images = plot(rows)
    files = {
        "report.md": markdown(content, "plot.png").encode(),
        "report.csv": _csv(rows).encode(),
        "report.json": (json.dumps([row_record(row) for row in rows], indent=2, allow_nan=False) + "\n").encode(),
        "report.html": page(content, images.svg.decode()).encode(),
        "plot.png": images.png,
        "plot.svg": images.svg,
    }
    output_dir.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        _write(output_dir / name, data)
    return [output_dir / name for name in files]


def _csv(rows: Sequence[ReportRow]) -> str:
    """Rows as CSV: empty for none, `true` and `false`, seeds separated by spaces, nested parts left to the JSON."""
    records = [{k: v for k, v in row_record(row).items() if k not in _NOT_FLAT} for row in rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _cell(value) for name, value in record.items()})
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value


def _write(path: Path, data: bytes) -> None:
    """Write beside the file and rename, so that nobody ever reads half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes files private; a report is for everyone the folder is for.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
