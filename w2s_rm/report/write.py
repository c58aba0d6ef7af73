"""Write the files of a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError
from w2s_rm.files import write_bytes
from w2s_rm.render.markdown import markdown
from w2s_rm.render.page import page
from w2s_rm.report.comparison import content as comparison
from w2s_rm.report.comparison.rows import comparison_record
from w2s_rm.report.comparison.table import compare
from w2s_rm.report.content import blocks
from w2s_rm.report.features import content as features
from w2s_rm.report.features.rows import feature_record
from w2s_rm.report.features.table import collect_features
from w2s_rm.report.policy import content as policy
from w2s_rm.report.policy.rows import flat_record, policy_record
from w2s_rm.report.policy.table import collect_policies
from w2s_rm.report.rows import row_record
from w2s_rm.report.table import collect

_NOT_FLAT = ("counts", "per_seed")


def write_report(run_dirs: Sequence[Path], output_dir: Path) -> list[Path]:
    """Write `report.md`, `.csv`, `.json`, `.html`, `plot.png` and `plot.svg` over one or several runs.

    Where runs have policies, `policy.csv`, `policy.json`, `policy.png` and `policy.svg` are written too, `features.*`
    where they chose among layers or penalties, `comparison.*` where they have methods beside the baseline. The files
    depend on the runs' results alone: same results, same bytes.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs, shown in this order.
        output_dir (`Path`): Where to write; made if absent. Files of an earlier report are replaced.

    Raises:
        ArtifactError: A run is not finished or its files are broken; nothing is written then.
        DataError: Models of one run were scored on different test examples; nothing is written then.
        ConfigError: No runs were given.
    """
    from w2s_rm.report.comparison.plot import plot_comparison
    from w2s_rm.report.features.plot import plot_features
    from w2s_rm.report.plots import plot
    from w2s_rm.report.policy.plot import plot_policies

    if not run_dirs:
        raise ConfigError("a report needs at least one run folder, such as runs/quickstart")
    of_runs = [(run_dir, collect(run_dir)) for run_dir in run_dirs]
    rows = [row for _, run_rows in of_runs for row in run_rows]
    policies = [row for run_dir, run_rows in of_runs for row in collect_policies(run_dir, run_rows)]
    tried = [row for run_dir, run_rows in of_runs for row in collect_features(run_dir, run_rows)]
    compared = compare(run_dirs)
    figures = {"plot": plot(rows)}
    if policies:
        figures[policy.FIGURE] = plot_policies(policies)
    if tried:
        figures[features.FIGURE] = plot_features(tried)
    if comparison.has_figure(compared):
        figures[comparison.FIGURE] = plot_comparison(compared)
    content = blocks(rows, policies, tried, compared)
    records = [row_record(row) for row in rows]
    files = {
        "report.md": markdown(content).encode(),
        "report.csv": _csv([{k: v for k, v in record.items() if k not in _NOT_FLAT} for record in records]),
        "report.json": _json(records),
        "report.html": page(content, {name: images.svg.decode() for name, images in figures.items()}).encode(),
    }
    tables = {
        policy.FIGURE: ([policy_record(row) for row in policies], [flat_record(row) for row in policies]),
        features.FIGURE: ([feature_record(row) for row in tried],) * 2,
        comparison.FIGURE: ([comparison_record(row) for row in compared],) * 2,
    }
    for name, (nested, flat) in tables.items():
        if nested:
            files |= {f"{name}.csv": _csv(flat), f"{name}.json": _json(nested)}
    for name, images in figures.items():
        files |= {f"{name}.png": images.png, f"{name}.svg": images.svg}
    output_dir.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_bytes(output_dir / name, data)
    return [output_dir / name for name in files]


def _json(records: Sequence[Mapping[str, Any]]) -> bytes:
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
