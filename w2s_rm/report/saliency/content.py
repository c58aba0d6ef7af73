"""What the report says of mistakes that students can tell, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import bracketed, percent, ratio
from w2s_rm.report.formats import recovered
from w2s_rm.report.saliency.rows import SaliencyRow

FIGURE = "saliency"
_HOW_TO_READ = (
    "Told by the student: how well a linear model on the strong model's hidden states, as they were before any "
    "training on labels, tells where the supervisor is wrong, as an area under the ROC: 0.5 is chance, 1 is always. "
    "It was fitted to the examples that students are trained on, layer and penalty chosen by folds of these, and is "
    "measured on the test split. An example is the mean of its candidates' states, which does not say what the "
    "supervisor prefers.",
    "Told by its doubt: the same of the supervisor's own confidence, the lower the more doubtful.",
    "Imitated: share of the mistakes that the student, once trained, makes too.",
)


def saliency_blocks(rows: Sequence[SaliencyRow]) -> list[Block]:
    """Compose the section.

    Args:
        rows (`Sequence[SaliencyRow]`): At least one.
    """
    return [
        Heading("Mistakes that students can tell", 2),
        _table(rows),
        Figure(_description(rows), FIGURE),
        Bullets(_HOW_TO_READ),
    ]


def _table(rows: Sequence[SaliencyRow]) -> Table:
    header = ("Run", "Method", "Mistakes %", "Told by the student", "Told by its doubt", "Imitated %", "PGR")
    lines = tuple(
        (
            row.recipe,
            row.method,
            percent(row.mistakes),
            bracketed(ratio, row.saliency, row.saliency_low, row.saliency_high),
            bracketed(ratio, row.doubt, row.doubt_low, row.doubt_high),
            percent(row.imitated),
            recovered(row.pgr, row.pgr_low, row.pgr_high, row.reliable),
        )
        for row in rows
    )
    return Table(header, lines, n_text=2)


def _description(rows: Sequence[SaliencyRow]) -> str:
    parts = [
        f"{row.recipe}, {row.method}: {ratio(row.saliency)}, by doubt {ratio(row.doubt)}, PGR {ratio(row.pgr)}"
        for row in rows
    ]
    return "How well students tell their supervisors' mistakes, and what they recover. " + "; ".join(parts)
