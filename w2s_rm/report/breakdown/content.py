"""What the report says about accuracy more closely, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Paragraph, Table
from w2s_rm.render.numbers import bracketed, percent
from w2s_rm.report.breakdown.rows import HALF, SHARES, BreakdownRow, by_run

FIGURE = "breakdown"
_GROUPS = (
    "Over groups, each group counts the same: the examples of one prompt, or what else a task keeps in one split. All "
    "intervals here are over groups, since the examples of a group tend to be right or wrong together, and over seeds."
)
_NO_GROUPS = "Intervals are of 95 %, over test examples and seeds."
_SURE = (
    "Surest half: accuracy on the half of the test examples for which the model's most probable candidate is most "
    "probable. The figure has other shares; a model that knows what it does not know rises to the left."
)
_TIES = "A tie counts as its chance of being right everywhere else; here also as wrong, and as half right."


def breakdown_blocks(rows: Sequence[BreakdownRow]) -> list[Block]:
    """Compose the section about accuracy by group, with ties, and where models are sure.

    Args:
        rows (`Sequence[BreakdownRow]`): At least one; those of a run together.
    """
    grouped, tied = any(row.grouped for row in rows), any(row.tied for row in rows)
    reading = [_GROUPS if grouped else _NO_GROUPS, _SURE, *([_TIES] if tied else [])]
    return [
        Heading("Accuracy more closely", 2),
        *_examples(rows),
        _table(rows, grouped=grouped, tied=tied),
        Figure(_description(rows), FIGURE),
        Bullets(tuple(reading)),
    ]


def _examples(rows: Sequence[BreakdownRow]) -> list[Paragraph]:
    """How many examples form how many groups, where some belong together."""
    # All rows of a run are of the same examples.
    first = {name: of_run[0] for name, run in by_run(rows).items() if (of_run := [row for row in run if row.grouped])}
    return [
        Paragraph(
            f"{name}: {row.n_examples:,} test examples in {row.n_groups:,} groups, at most {row.largest_group:,} in "
            "one."
        )
        for name, row in first.items()
    ]


def _table(rows: Sequence[BreakdownRow], *, grouped: bool, tied: bool) -> Table:
    # Without groups, or without ties, columns about them would repeat the first.
    header = ["Run", "Model", "Over examples %"]
    header += ["Over groups %"] if grouped else []
    header += ["Surest half %"]
    header += ["Tied examples", "Ties wrong %", "Ties half %"] if tied else []
    lines = []
    for name, row in _named(rows):
        line = [name, row.title, bracketed(percent, row.accuracy, row.accuracy_low, row.accuracy_high)]
        if grouped:
            ends = (row.group_accuracy_low, row.group_accuracy_high)
            line.append("–" if row.group_accuracy is None else bracketed(percent, row.group_accuracy, *ends))
        line.append(bracketed(percent, row.half_accuracy, row.half_accuracy_low, row.half_accuracy_high))
        if tied:
            line += [f"{row.tied:,.1f}", percent(row.accuracy_ties_wrong), percent(row.accuracy_ties_half)]
        lines.append(tuple(line))
    return Table(tuple(header), tuple(lines), n_text=2)


def _named(rows: Sequence[BreakdownRow]) -> list[tuple[str, BreakdownRow]]:
    return [(name, row) for name, of_run in by_run(rows).items() for row in of_run]


def _description(rows: Sequence[BreakdownRow]) -> str:
    parts = [
        f"{name}, {row.title}: {percent(row.answered[0])}, {percent(row.half_accuracy)}, {percent(row.accuracy)}"
        for name, row in _named(rows)
    ]
    # As elsewhere in the report, a blank before the sign.
    shares = f"{SHARES[0]:.0%}, {HALF:.0%} and {SHARES[-1]:.0%}".replace("%", " %")
    return f"Accuracy on the surest share of the test examples, in % for {shares}. " + "; ".join(parts)
