"""What the report says about which methods help, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Paragraph, Table
from w2s_rm.render.numbers import points
from w2s_rm.report.comparison.rows import ComparisonRow, by_method, by_run, mean_difference

FIGURE = "comparison"
# Fewer are read from the table at once.
_WORTH_A_FIGURE = 4
_HOW_TO_READ = (
    "A difference is the accuracy of a method's students minus that of the students of the method it is compared with, "
    "on the same test examples and seeds, in points.",
    "Brackets hold all together with 95 % within a setting, however many methods and runs there are: what is said to "
    "help is not the best of many accidents. They are wider than the interval of one comparison by itself. p is of one "
    "comparison by itself, p (Holm) adjusted for the number of comparisons in the setting.",
)


def comparison_blocks(rows: Sequence[ComparisonRow]) -> list[Block]:
    """Compose the section that compares methods.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs.
    """
    content: list[Block] = [Heading(f"Methods beside {baseline_name(rows)}", 2)]
    for setting, baseline in dict.fromkeys((row.setting, row.difference_to) for row in rows):
        # A table for each baseline: differences to two methods have no mean. The intervals hold over the setting all
        # the same.
        own = [row for row in rows if (row.setting, row.difference_to) == (setting, baseline)]
        content += [Paragraph(_words(setting, baseline, own)), _table(own), _p_table(own)]
    if has_figure(rows):
        content.append(Figure(_description(rows), FIGURE))
    return [*content, Bullets(_HOW_TO_READ)]


def baseline_name(rows: Sequence[ComparisonRow]) -> str:
    """Name the method that others are compared with, where all runs of the report have the same.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs, at least one.
    """
    names = {row.difference_to for row in rows}
    return names.pop() if len(names) == 1 else "the one they are compared with"


def has_figure(rows: Sequence[ComparisonRow]) -> bool:
    """Whether there is enough to draw.

    Args:
        rows (`Sequence[ComparisonRow]`): Rows of any number of runs.
    """
    return len(rows) >= _WORTH_A_FIGURE


def _words(setting: str, baseline: str, rows: Sequence[ComparisonRow]) -> str:
    """What held in all runs, in some, in none."""
    runs, groups = len(by_run(rows)), by_method(rows)
    better = [_named(group, sum(row.better for row in group), runs) for group in groups]
    worse = [_named(group, sum(row.worse for row in group), runs) for group in groups]
    undecided = [group[0].method for group in groups if not any(row.better or row.worse for row in group)]
    parts = {f"better than {baseline}": better, "worse": worse, "not told apart from it": undecided}
    said = [f"{words}: {', '.join(filter(None, names))}" for words, names in parts.items() if any(names)]
    return f"{setting}, {_counted(runs, 'run')}, {_counted(len(rows), 'comparison')}: {'; '.join(said)}."


def _named(group: Sequence[ComparisonRow], number: int, runs: int) -> str:
    """The method of a group with the number of runs for which something holds; empty for none."""
    if number == 0:
        return ""
    # Of the runs that have the method, which need not be all of the report.
    of = "in all" if number == len(group) else f"{number} of {len(group)}"
    return group[0].method if runs == 1 else f"{group[0].method} ({of})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _table(rows: Sequence[ComparisonRow]) -> Table:
    runs = {name: {row.method: row for row in group} for name, group in by_run(rows).items()}
    lines = []
    for group in by_method(rows):
        method = group[0].method
        cells = [_cell(of_run[method]) if method in of_run else "–" for of_run in runs.values()]
        lines.append((method, points(mean_difference(group)), *cells))
    return Table(("Method", "Mean", *runs), tuple(lines))


def _p_table(rows: Sequence[ComparisonRow]) -> Table:
    named = [(name, row) for name, group in by_run(rows).items() for row in group]
    lines = [
        (row.method, name, _p(row.p), _p(row.p_holm))
        for group in by_method(rows)
        for name, row in named
        if row.method == group[0].method
    ]
    return Table(("Method", "Run", "p", "p (Holm)"), tuple(lines), n_text=2)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cell(row: ComparisonRow) -> str:
    mark = " +" if row.better else " −" if row.worse else ""
    return f"{points(row.difference)} [{points(row.low)}, {points(row.high)}]{mark}"


def _description(rows: Sequence[ComparisonRow]) -> str:
    parts = [f"{row.recipe}, {row.method}: {_cell(row)}" for row in rows]
    return f"Accuracy of students minus that of {baseline_name(rows)}, points. " + "; ".join(parts)
