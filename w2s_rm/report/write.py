"""Write the files of a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError
from w2s_rm.files import write_bytes
from w2s_rm.render.markdown import markdown
from w2s_rm.render.page import Drawing, page
from w2s_rm.report.content import blocks, page_blocks
from w2s_rm.report.examples import collect_examples
from w2s_rm.report.findings import Asked, Findings
from w2s_rm.report.findings.content import finding_blocks
from w2s_rm.report.rows import row_record
from w2s_rm.report.sections import Collected, ReportedRun, collect_sections
from w2s_rm.report.table import collect
from w2s_rm.runs.plan import check_intact, read_run

_NOT_FLAT = ("counts", "per_seed")


def write_report(
    run_dirs: Sequence[Path], output_dir: Path, *, sections: Iterable[str] = (), asked: Asked | None = None
) -> list[Path]:
    """Write `report.md`, `.csv`, `.json`, `.html`, `plot.png` and `plot.svg` over one or several runs.

    Each section that has something to say adds `<name>.csv` and `<name>.json`, and perhaps `<name>.png` and `.svg`. The
    files depend on the runs' results alone: same results, same bytes. The page also shows test examples with what the
    models say of them, and the recipe, versions and stages as the runs recorded them.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs, shown in this order.
        output_dir (`Path`): Where to write; made if absent. Files of an earlier report are replaced.
        sections (`Iterable[str]`, *optional*): Files with sections of one's own.
        asked ([`~w2s_rm.report.findings.Asked`], *optional*): What is asked of the runs; adds `findings.md` too.

    Raises:
        ArtifactError: A run is not finished, or its files are not as they were made; nothing is written then.
        DataError: Models of one run were scored on different test examples; nothing is written then.
        ConfigError: No runs were given, or a file holds no section; nothing is written then.
    """
    from w2s_rm.report.plots import plot

    if not run_dirs:
        raise ConfigError("a report needs at least one run folder, such as runs/quickstart")
    for run_dir in run_dirs:
        # Before anything is computed: a report must not be made of files that were changed since.
        check_intact(read_run(run_dir), weights=False)
    runs = [ReportedRun(run_dir, tuple(collect(run_dir))) for run_dir in run_dirs]
    rows = [row for run in runs for row in run.rows]
    collected = collect_sections(runs, sections)
    if asked is not None:
        findings = Findings(asked)
        # First: what a suite was run to find out.
        collected.insert(0, Collected(Findings.name, findings, findings.rows(runs)))
    drawn = {part.name: part.section.figure(part.rows) for part in collected}
    figures = {"plot": plot(rows), **{name: images for name, images in drawn.items() if images is not None}}
    # Rounded once, so that JSON and CSV say the same.
    records = [row_record(row) for row in rows]
    files = {
        "report.md": markdown(blocks(rows, collected)).encode(),
        "report.csv": _csv([{k: v for k, v in record.items() if k not in _NOT_FLAT} for record in records]),
        "report.json": _json(records),
    }
    for name, section, section_rows in ((part.name, part.section, part.rows) for part in collected):
        files[f"{name}.csv"] = _csv([section.flat_record(row) for row in section_rows])
        files[f"{name}.json"] = _json([section.record(row) for row in section_rows])
    if asked is not None:
        # By themselves too: in the report they stand before tables of every run.
        files["findings.md"] = markdown(finding_blocks(collected[0].rows, level=1)).encode()
    for name, images in figures.items():
        files |= {f"{name}.png": images.png, f"{name}.svg": images.svg}
    # The first figure shows the rows of the report.
    shown = {name: files["report.csv" if name == "plot" else f"{name}.csv"] for name in figures}
    drawings = {name: Drawing(images.svg.decode(), shown[name]) for name, images in figures.items()}
    examples = [collect_examples(run_dir) for run_dir in run_dirs]
    files["report.html"] = page(page_blocks(rows, collected, examples, run_dirs), drawings).encode()
    output_dir.mkdir(parents=True, exist_ok=True)
    # Only now: a report is written when all of it could be made.
    for name, data in files.items():
        write_bytes(output_dir / name, data)
    return [output_dir / name for name in files]


def _json(records: Sequence[Mapping[str, Any]]) -> bytes:
    # NaN is no JSON: what is not known is `null`, and anything else would be a mistake here.
    return (json.dumps(records, indent=2, allow_nan=False) + "\n").encode()


def _csv(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Flat records as CSV: empty for none, `true` and `false`, seeds separated by spaces."""
    stream = io.StringIO()
    # The csv module ends lines as on Windows where nothing else is said.
    writer = csv.DictWriter(stream, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _cell(value) for name, value in record.items()})
    return stream.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value
