"""The benchmark's one table. Loads nothing heavy."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._settings import COMPARISONS, VARIANTS, Settings

# What the shared layout has to reach, by data, task and competitor: set before measuring, never adjusted to it.
BARS: dict[str, dict[tuple[str, str], float]] = {
    "hh_harmless": {("training", "trl"): 3.5, ("training", "trl_sorted"): 1.4, ("relabelling", "trl"): 4.0},
    "long_prompts": {("training", "trl"): 4.0, ("training", "trl_sorted"): 1.4, ("relabelling", "trl"): 4.0},
}
CHESS_BAR = 8.0
# Most memory beside that of TRL as it comes, in training.
MEMORY_BARS = {"long_prompts": 0.6}

_TITLES = {
    "trl": "`trl.RewardTrainer`",
    "trl_sorted": "`trl.RewardTrainer`, sorted by length",
    "padded": "ours, `padded`",
    "shared_prefix": "ours, `shared_prefix`",
}
_HEADS = [
    "task",
    "variant",
    "pairs or positions per second",
    "compared with",
    "ratio",
    "bar",
    "tokens fed",
    "tokens useful",
    "memory growth",
    "ratio of growth",
    "memory peak",
    "largest score difference",
]
_GPU_HEADS = ["TFLOP/s", "share of peak"]


def render(results: Mapping[str, Any], settings: Settings) -> str:
    """Write facts, table and notes as Markdown.

    Args:
        results (`Mapping`): What was measured: `facts`, `cuda` and `tasks`.
        settings ([`Settings`]): The command line.
    """
    heads = _HEADS + (_GPU_HEADS if results["cuda"] else [])
    rows = [row for task in settings.only for row in _task_rows(task, results, settings)]
    lines = [heads, ["---"] * len(heads), *rows]
    facts = [f"- {name}: {value}" for name, value in results["facts"].items()]
    table = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([*facts, "", *table, "", *_notes(results, settings)]) + "\n"


def _task_rows(task: str, results: Mapping[str, Any], settings: Settings) -> list[list[str]]:
    """One row for each variant and competitor; the first variant of a task stands without."""
    pairs = [(VARIANTS[task][0], None)] + [(name, other) for own, name, other in COMPARISONS if own == task]
    return [_row(task, name, against, results, settings) for name, against in pairs]


def _row(task: str, name: str, against: str | None, results: Mapping[str, Any], settings: Settings) -> list[str]:
    measured = results["tasks"][task]
    line = measured["lines"][name]
    speeds = [measured["examples"] / seconds for seconds in line["seconds"]]
    cells = [task, _TITLES[name], spread(speeds, ".3g")]
    if against is None:
        cells += [""] * 3
    else:
        other = measured["lines"][against]["seconds"]
        ratios = [theirs / ours for theirs, ours in zip(other, line["seconds"], strict=True)]
        cells += [_TITLES[against], spread(ratios, ".2f"), bar(task, name, against, settings)]
    cells += [f"{line['fed']:.0f}", f"{measured['useful']:.0f}", *_memory_cells(measured["lines"], name, against)]
    cells.append(f"{measured['differences'][f'{name}:{against}']:.1e}" if against else "")
    return cells + (_gpu_cells(task, measured, speeds, settings) if results["cuda"] else [])


def spread(values: Sequence[float], form: str) -> str:
    """Write median, least and most.

    Args:
        values (`Sequence[float]`): One for each round.
        form (`str`): Format of a number.
    """
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def bar(task: str, name: str, against: str, settings: Settings) -> str:
    """Name the bar of a row, empty where there is none.

    Args:
        task (`str`): Task of the row.
        name (`str`): Its variant.
        against (`str`): Its competitor.
        settings ([`Settings`]): Says which data were used.
    """
    if name != "shared_prefix":
        return ""
    if task == "chess":
        return f"{CHESS_BAR:g}"
    data = (settings.data or settings.synthetic).rsplit("/", 1)[-1]
    bars = next((found for start, found in BARS.items() if data.startswith(start)), {})
    texts = [f"{bars[task, against]:g}"] if (task, against) in bars else []
    if (task, against) == ("training", "trl") and data in MEMORY_BARS:
        texts.append(f"growth at most {MEMORY_BARS[data]:g}")
    return "; ".join(texts)


def _memory_cells(lines: Mapping[str, Any], name: str, against: str | None) -> list[str]:
    memory = lines[name].get("memory")
    if memory is None:
        return [""] * 3
    ratio = f"{memory['growth'] / lines[against]['memory']['growth']:.2f}" if against else ""
    return [_size(memory["growth"]), ratio, _size(memory["peak"])]


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def _gpu_cells(task: str, measured: Mapping[str, Any], speeds: Sequence[float], settings: Settings) -> list[str]:
    # A multiplication and an addition for each weight forward, twice as many backward.
    operations = 2 if task == "relabelling" else 6
    rate = operations * measured["parameters"] * measured["useful"] * statistics.median(speeds) / 1e12
    return [f"{rate:.1f}", f"{rate / settings.peak_tflops:.1%}"]


def _notes(results: Mapping[str, Any], settings: Settings) -> list[str]:
    spreads = ", ".join(f"{task} {results['tasks'][task]['spread']:.2g}" for task in settings.only)
    notes = [
        f"Median (least to most), {settings.rounds} rounds in turn. A ratio is one within a round; above 1 is faster.",
        "Tokens are per pair or position: fed counts all positions with padding, useful the prompt once and every "
        "candidate. A language model is not fed a candidate's last token, and is fed once what candidates begin with "
        "alike.",
        "Score differences are between trainers with the same weights: over all pairs in relabelling, over the first "
        f"batch otherwise. Standard deviation of the scores: {spreads}.",
    ]
    if settings.memory:
        what = "tensors on the GPU" if results["cuda"] else "the process's resident memory (ru_maxrss)"
        notes.append(
            f"Memory growth is the peak of {what} less what was held just before the first step: gradients, optimizer "
            "state, activations and batches, not the weights. Each variant ran in a process of its own."
        )
    if results["cuda"]:
        notes.append(
            "TFLOP/s is 6 (relabelling: 2) x parameters without embeddings x useful tokens per second; attention is "
            f"left out. The peak is {settings.peak_tflops:g} TFLOP/s; 989 is that of H100 and H200 (SXM) in dense "
            "bfloat16, by the vendor's data sheets."
        )
    return [f"- {note}" for note in notes]
