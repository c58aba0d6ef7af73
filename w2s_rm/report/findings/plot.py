"""One figure: a panel for each finding, four in a row.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_rm.report.drawing import (
    CEILING,
    INK,
    MUTED,
    STUDENT,
    STUDENTS,
    WEAK,
    Images,
    new_figure,
    prepare,
    render,
    training_axis,
)
from w2s_rm.report.findings.content import number_text
from w2s_rm.report.findings.rows import FindingRow
from w2s_rm.report.hypotheses import Panel, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_INCHES_WIDE, _INCHES_HIGH = 4.1, 4.3
# Characters that fit into a line of a title, and below one mark.
_LETTERS, _WORD = 42, 15
_ROLES = {"weak": WEAK, "student": STUDENT, "ceiling": CEILING}
_VERDICTS = {"shown": CEILING, "not shown": MUTED, "opposite": STUDENTS[2]}


def plot_findings(rows: Sequence[FindingRow]) -> Images:
    """Draw what the runs say of each finding; the same rows give the same bytes.

    Args:
        rows (`Sequence[FindingRow]`): At least one.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[FindingRow]) -> Figure:
    columns = min(_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    figure = new_figure(_INCHES_WIDE * columns, _INCHES_HIGH * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    # The last line may have panels left over; they are switched off below.
    for number, (axes, row) in enumerate(zip(panels, rows, strict=False), start=1):
        _draw(axes, row.panel)
        axes.set_title("\n".join(textwrap.wrap(f"{number}  {row.finding}", _LETTERS)), loc="left", fontsize=10, pad=26)
        text = f"{row.verdict}: {number_text(row)}{'' if row.is_ratio else ' points'}"
        color = _VERDICTS[row.verdict]
        axes.text(0, 1.03, text, transform=axes.transAxes, color=color, fontsize=10, fontweight="bold")
    for axes in panels[len(rows) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    prepare(axes, grid="y")
    # PGR alone has a zero to be seen against, and is no share.
    if panel.measure == "PGR":
        axes.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
    else:
        from matplotlib.ticker import PercentFormatter

        # As many digits as tell one mark from the next.
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, symbol=" %"))
    axes.set_ylabel(panel.measure)
    words = list(dict.fromkeys(point.x for series in panel.series for point in series.points))
    if all(isinstance(word, str) for word in words):
        _draw_words(axes, panel, [str(word) for word in words])
    else:
        training_axis(axes, [float(word) for word in words])
        axes.set_xlabel("share of the training steps")
        for number, series in enumerate(panel.series):
            _draw_line(axes, series, STUDENTS[number % len(STUDENTS)])
    if len(panel.series) > 1:
        axes.legend(frameon=False, fontsize=9, loc="best")


def _draw_words(axes: Axes, panel: Panel, words: Sequence[str]) -> None:
    """Points beside each other at each word."""
    for number, series in enumerate(panel.series):
        color = _ROLES.get(series.label, STUDENTS[number % len(STUDENTS)])
        # Half of the room of a word, shared among the series and centred on it.
        shift = 0.5 * ((number + 0.5) / len(panel.series) - 0.5)
        # A PGR without an interval divides by a gap that may be none: anywhere, and far off it presses the others flat.
        points = [point for point in series.points if panel.measure != "PGR" or point.low is not None]
        places = [words.index(str(point.x)) + shift for point in points]
        for point in (point for point in series.points if point not in points):
            at, across = (words.index(str(point.x)) + shift, 0.5), axes.get_xaxis_transform()
            axes.text(*at, "gap not\nreliable", transform=across, color=MUTED, fontsize=9, ha="center", va="center")
        for place, point in zip(places, points, strict=True):
            if point.low is not None and point.high is not None:
                axes.plot([place] * 2, [point.low, point.high], color=color, linewidth=1.6, zorder=3)
        values = [point.value for point in points]
        axes.plot(places, values, marker="o", markersize=6, linewidth=0, color=color, zorder=4, label=series.label)
    axes.set_xlim(-0.5, len(words) - 0.5)
    _write_below(axes, words)


def _write_below(axes: Axes, words: Sequence[str]) -> None:
    """Each word in its room, slanted where one is longer than that: it would be written over the next."""
    room = min(_WORD, _LETTERS // len(words))
    # Words are not broken: what is too long for its room is slanted instead.
    lines = [textwrap.wrap(word.replace("_", " "), room, break_long_words=False) for word in words]
    slanted = any(len(line) > room for own in lines for line in own)
    axes.set_xticks(
        range(len(words)),
        [word.replace("_", " ") for word in words] if slanted else ["\n".join(own) for own in lines],
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
    )
    axes.tick_params(axis="x", labelsize=9)


def _draw_line(axes: Axes, series: Series, color: str) -> None:
    shares, values = [float(point.x) for point in series.points], [point.value for point in series.points]
    bounded = [point for point in series.points if point.low is not None and point.high is not None]
    # For the type checker: none of them is `None` here.
    ends = [[end or 0.0 for end in (point.low, point.high)] for point in bounded]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    # Of each place by itself, as in the figure of curves.
    axes.fill_between(
        [float(point.x) for point in bounded], lows, highs, color=color, alpha=0.12, linewidth=0, zorder=2
    )
    axes.plot(shares, values, color=color, linewidth=2, marker=".", zorder=3, label=series.label)
