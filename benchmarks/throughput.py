"""Pairs per second, tokens and memory: `trl.RewardTrainer` beside ours, with padded rows and with shared prefixes.

    python -m benchmarks.throughput [--data pairs.jsonl.gz] [--size 60m] [--only training relabelling chess]

The variants run in turn on the same model, pairs and machine, each round from a fresh copy of the same weights, and one
table compares them. Memory is measured in processes of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._settings import VARIANTS, Settings, parse
from benchmarks._table import render


def main() -> None:
    """Measure and print, or, in a process started by this one, make one measurement."""
    settings = parse(__doc__)
    if settings.measure is not None:
        print(json.dumps(_measure(settings, settings.measure, Path(str(settings.workspace)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = _ask(folder, "times")
        if settings.memory:
            for task in settings.only:
                for name in VARIANTS[task]:
                    results["tasks"][task]["lines"][name]["memory"] = _ask(folder, f"{task}/{name}")
    table = render(results, settings)
    print(table)
    if settings.output is not None:
        Path(settings.output).write_text(table, encoding="utf-8")


def _ask(folder: str, name: str) -> Any:
    """Make one measurement in a process of its own, with the same options.

    This process loads neither torch nor data: on Linux a process's `ru_maxrss` starts at that of the one that began it.
    """
    print(f"measuring {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.throughput", *sys.argv[1:], "--measure", name, "--workspace", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"measuring {name} failed with exit code {done.returncode}; see above")
    return json.loads(done.stdout.splitlines()[-1])


def _measure(settings: Settings, name: str, folder: Path) -> Any:
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    if name == "times":
        from benchmarks._times import measure_times

        return measure_times(settings, folder)
    from benchmarks._measure import measure_memory
    from benchmarks._variants import Variant

    task, variant = name.split("/")
    return measure_memory(Variant(task, variant, settings, folder))


if __name__ == "__main__":
    main()
