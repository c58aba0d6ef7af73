"""One figure: a matrix of train by test task, its cells colored by what the student gains on its supervisor.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from w2s_rm.render.numbers import percent, ratio
from w2s_rm.report.drawing import GRID, INK, MUTED, Images, new_figure, render
from w2s_rm.report.transfer.content import points
from w2s_rm.report.transfer.rows import Column, MatrixLine, TransferRow, columns_of, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pale enough for the text on them.
_LOSS, _NONE, _GAIN = "#e3a29f", "#ffffff", "#8fc1e3"
_CELL_WIDE, _CELL_HIGH = 1.75, 0.9
# Points at which a color is full where nothing gains or loses more.
_LEAST = 0.02


def plot_transfer(rows: Sequence[TransferRow]) -> Images:
    """Draw the matrix; the same rows give the same bytes.

    Args:
        rows (`Sequence[TransferRow]`): Rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[TransferRow]) -> Figure:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    columns, panels = columns_of(rows), _panels(lines_of(rows))
    most = max([_LEAST, *(abs(row.gain) for row in rows if row.gain is not None)])
    # An odd number has a middle.
    colors = LinearSegmentedColormap.from_list("gain", [_LOSS, _NONE, _GAIN], N=257)
    # Symmetric, so that white is no gain and no loss.
    scale = Normalize(-most, most)
    heights = [max(1, len(lines)) for lines in panels.values()]
    figure = new_figure(2.2 + _CELL_WIDE * len(columns), 0.9 + sum(_CELL_HIGH * height + 0.9 for height in heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (title, lines) in zip(grid, panels.items(), strict=True):
        _prepare(axes, lines, columns, title)
        for y, (_, line) in enumerate(lines):
            for x, column in enumerate(columns):
                if column in line.cells:
                    row = line.cells[column]
                    _draw_cell(axes, x, y, row, colors(scale(row.gain)) if row.gain is not None else GRID)
    grid[-1].set_xlabel(
        "tested on\nbold: student − weak, points; below: weak · student · ceiling, %; framed: own task", color=MUTED
    )
    return figure


def _panels(lines: Sequence[MatrixLine]) -> Mapping[str, list[tuple[str, MatrixLine]]]:
    """Titles with the named lines below: a panel for each method, or one for all methods of one run."""
    homes = list(dict.fromkeys(line.name for line in lines))
    if len(homes) == 1:
        return {f"trained on {homes[0]}": [(line.method, line) for line in lines]}
    methods = dict.fromkeys(line.method for line in lines)
    return {method: [(line.name, line) for line in lines if line.method == method] for method in methods}


def _prepare(axes: Axes, lines: Sequence[tuple[str, MatrixLine]], columns: Mapping[Column, str], title: str) -> None:
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), list(columns.values()))
    axes.set_yticks(range(len(lines)), [name for name, _ in lines])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontweight="bold", loc="left")


def _draw_cell(axes: Axes, x: int, y: int, row: TransferRow, color: object) -> None:
    from matplotlib.patches import Rectangle

    framed = {"edgecolor": INK, "linewidth": 1.8} if row.home else {"edgecolor": "white", "linewidth": 1.0}
    cell = Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=color, zorder=3 if row.home else 2, **framed)  # type: ignore[arg-type]
    axes.add_patch(cell)
    trusted = row.reliable and row.pgr is not None
    # A PGR that is not reliable is not shown at all: a cell has no room to say so beside it.
    recovered = f"PGR {ratio(row.pgr)}" if trusted else "no reliable PGR"
    axes.text(x, y - 0.22, points(row.gain), ha="center", va="center", fontweight="bold", zorder=4)
    axes.text(x, y + 0.03, recovered, ha="center", va="center", fontsize=8, color=INK if trusted else MUTED, zorder=4)
    models = " · ".join(map(percent, (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy)))
    axes.text(x, y + 0.26, models, ha="center", va="center", fontsize=8, zorder=4)
