"""write a finished run's data as a preference dataset, relabelled by its labels or by a reward model"""

from __future__ import annotations

import argparse
from pathlib import Path

from w2s_rm.roles import TRAINED


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="for example runs/quickstart")
    parser.add_argument("--to", choices=["dpo"], required=True, help="what it is for: trl.DPOTrainer")
    by = parser.add_mutually_exclusive_group()
    text = "relabel with a reward model of the run (default: its weak labels)"
    by.add_argument("--of", choices=TRAINED, help=text)
    by.add_argument("--model", metavar="FOLDER", help="relabel with any reward model: a folder or hub id")
    by.add_argument("--labels", type=Path, metavar="FILE", help="relabel from a file of labels")
    parser.add_argument("--method", metavar="NAME", help="whose student, where the run has several methods")
    parser.add_argument("--seed", type=int, metavar="N", help="of labels and models (default: the run's first)")
    parser.add_argument("--split", choices=["relabel", "test", "validation", "unused"], default="relabel")
    parser.add_argument(
        "--min-confidence", type=float, default=0.5, metavar="P", help="drop pairs less probable than this"
    )
    parser.add_argument("--deduplicate", action="store_true", help="keep the first of equal pairs")
    text = "what rows become (default: what the run's data are)"
    parser.add_argument("--format", choices=["conversational", "text"], help=text)
    text = ".jsonl or .parquet file, or folder of a saved dataset (default: RUN/dpo-<split>)"
    parser.add_argument("--output", type=Path, metavar="PATH", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Write the dataset and print what became of the examples."""
    from w2s_rm.integrations.export import Export, refuse_existing, write_preferences

    output = arguments.output or arguments.run_folder / f"dpo-{arguments.split}"
    # Before anything is scored, which may take hours.
    refuse_existing(output)
    export = Export(
        arguments.run_folder,
        split=arguments.split,
        of=arguments.of,
        model=arguments.model,
        labels=arguments.labels,
        method=arguments.method,
        seed=arguments.seed,
        min_confidence=arguments.min_confidence,
        deduplicate=arguments.deduplicate,
        form=arguments.format,
    )
    made = export.preferences()
    write_preferences(output, made.rows)
    dropped = {name: count for name, count in made.counts.items() if count and name not in ("examples", "rows")}
    told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in dropped.items())
    print(f"{made.counts['rows']} pairs of {made.counts['examples']} examples" + (f"; dropped: {told}" if told else ""))
    print(output)
