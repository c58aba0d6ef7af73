"""What the report says about findings, as elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Paragraph, Table
from w2s_rm.render.numbers import points, ratio, ratio_interval
from w2s_rm.report.findings.rows import FindingRow

FIGURE = "findings"
_HOW_TO_READ = (
    "Each finding is stated in the suite, with its hypothesis, its runs and its number, which is above zero where it "
    "holds: accuracies and shares in points, differences of PGR as they are.",
    "Shown: the whole corrected interval is above zero. Opposite: it is below. Not shown: zero is in it, which is no "
    "evidence of absence.",
    "Intervals are over test examples and seeds. The corrected one is at the error at which Holm's procedure tests the "
    "finding among all of them, so that with 95 % none of the verdicts shown and opposite is wrong. Alone is the 95 % "
    "interval of one finding by itself.",
)
_HOW_TO_READ_PGR = (
    "A PGR of the figure has its interval to first order, as findings have; that of the table of results is Fieller's "
    "and not symmetric. The two differ where the gap is small beside its error."
)


def finding_blocks(rows: Sequence[FindingRow], level: int = 2) -> list[Block]:
    """Compose what is said of findings.

    Args:
        rows (`Sequence[FindingRow]`): At least one.
        level (`int`, *optional*, defaults to `2`): Of the heading.
    """
    content: list[Block] = [Heading("Findings", level), counted(rows), Figure(_description(rows), FIGURE), _table(rows)]
    content += [Bullets(tuple(f"{number}: {_words(row)}" for number, row in enumerate(rows, start=1)))]
    of_ratios = (_HOW_TO_READ_PGR,) if any(row.panel.measure == "PGR" for row in rows) else ()
    return [*content, Bullets((*_HOW_TO_READ, *of_ratios))]


def counted(rows: Sequence[FindingRow]) -> Paragraph:
    """Say how many findings have which verdict.

    Args:
        rows (`Sequence[FindingRow]`): At least one.
    """
    verdicts = Counter(row.verdict for row in rows)
    named = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
    # Findings may be about runs with other numbers of seeds: the fewest limit what can be shown.
    n_seeds = min(row.n_seeds for row in rows)
    return Paragraph(f"Of {len(rows)} findings: {named} ({n_seeds} seed{'s' if n_seeds > 1 else ''}).")


def number_text(row: FindingRow) -> str:
    """Write the number of a finding with its corrected interval.

    Args:
        row ([`FindingRow`]): The finding.
    """
    return _number(row, row.effect, row.low, row.high)


def _number(row: FindingRow, value: float, low: float | None, high: float | None) -> str:
    if row.is_ratio:
        return f"{ratio(value)} {ratio_interval(low, high)}"
    # Shares of examples are unbounded too where a ratio in them divides by what may be nothing, as a deception score
    # does.
    ends = ("−∞" if low is None else points(low), "∞" if high is None else points(high))
    return f"{points(value)} [{', '.join(ends)}]"


def _table(rows: Sequence[FindingRow]) -> Table:
    lines = tuple(
        (
            str(number),
            row.finding,
            row.verdict,
            number_text(row),
            _number(row, row.effect, row.alone_low, row.alone_high),
            "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}",
        )
        for number, row in enumerate(rows, start=1)
    )
    return Table(("", "Finding", "Verdict", "Effect, corrected", "Alone", "p (Holm)"), lines, n_text=3)


def _words(row: FindingRow) -> str:
    note = "" if row.note is None else f" {row.note}"
    return f"the number is the {row.effect_is}, in {row.recipe}.{note}"


def _description(rows: Sequence[FindingRow]) -> str:
    parts = [f"{number}. {row.finding} {row.verdict}, {number_text(row)}" for number, row in enumerate(rows, start=1)]
    return "; ".join(parts)
