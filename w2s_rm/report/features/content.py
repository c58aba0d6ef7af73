"""What the report says about features, as elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import percent, ratio
from w2s_rm.report.features.rows import FeatureRow, features_by_run

FIGURE = "features"
_HOW_TO_READ = (
    "Nothing in the strong model was trained: students and ceilings are linear models on what it makes of a text after "
    "one of its layers, held small by the penalty l2. Each line has the student that was chosen, without the test "
    "split: by the supervisor's labels of the validation split, the ceiling by the truth.",
    "The figure has all that could have been chosen. Where a student's line lies above its ring, another choice would "
    "have been better, and the supervisor's labels did not show it; along a line PGR says how much of what is "
    "recovered is a matter of regularisation.",
)


def feature_blocks(rows: Sequence[FeatureRow]) -> list[Block]:
    """Compose the section about features.

    Args:
        rows (`Sequence[FeatureRow]`): Rows of any number of runs, those of a run together.
    """
    return [Heading("Layers and penalties", 2), _table(rows), Figure(_description(rows), FIGURE), Bullets(_HOW_TO_READ)]


def _by_method(rows: Sequence[FeatureRow]) -> list[list[FeatureRow]]:
    """Rows by run and method, in their order."""
    groups = features_by_run(rows)
    return [
        [row for row in group if row.method == method]
        for group in groups
        for method in dict.fromkeys(row.method for row in group)
    ]


def _table(rows: Sequence[FeatureRow]) -> Table:
    header = ("Run", "Method", "Layer, l2 chosen", "By the ceiling", "PGR there", "Lowest PGR", "Highest PGR")
    lines = []
    for group in _by_method(rows):
        students = {row: row.chosen for row in group if row.chosen}
        ceilings = {row: row.ceiling_chosen for row in group if row.ceiling_chosen}
        there = "; ".join(ratio(row.pgr) for row in students)
        lines.append((group[0].recipe, group[0].method, _places(students), _places(ceilings), there, *_ends(group)))
    return Table(header, tuple(lines), n_text=4)


def _places(seeds: Mapping[FeatureRow, int]) -> str:
    """Layers and penalties, with the number of seeds where it is not the same one for all."""
    texts = [f"{row.layer}, {row.l2:g}" + (f" ({number}×)" if len(seeds) > 1 else "") for row, number in seeds.items()]
    return "; ".join(texts) or "–"


def _ends(group: Sequence[FeatureRow]) -> tuple[str, str]:
    # Over all that could have been chosen: how much of PGR hangs on the choice.
    known = sorted((row for row in group if row.pgr is not None), key=lambda row: row.pgr or 0.0)
    if not known:
        return "–", "–"
    low, high = (f"{ratio(row.pgr)} ({row.layer}, {row.l2:g})" for row in (known[0], known[-1]))
    return low, high


def _description(rows: Sequence[FeatureRow]) -> str:
    parts = []
    for group in _by_method(rows):
        for layer in dict.fromkeys(row.layer for row in group):
            accuracies = [f"{row.l2:g}: {percent(row.student_accuracy)} %" for row in group if row.layer == layer]
            parts.append(f"{group[0].recipe}, {group[0].method}, layer {layer}: {', '.join(accuracies)}")
    return "Accuracy of the students, and PGR, over the penalty l2, for each layer. " + "; ".join(parts)
