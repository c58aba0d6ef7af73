"""What the figures share: colors and style, where a row is drawn, and how a figure becomes files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from w2s_rm.report.rows import ReportRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, BAND = "#1c2733", "#66727e", "#e1e6eb", "#eef1f4"
WEAK, STUDENT, CEILING = "#8a6d3b", "#1f6fb4", "#2e8b57"
UNRELIABLE = "#b9c1c9"
# Where methods have colors: the first student has that of all students elsewhere.
STUDENTS = (STUDENT, "#a4508b", "#d1692a", "#0b8f9c", "#6a51a3", "#b5323c")
# The first share times the number of evaluations is 1 where they are evenly spaced, and far less at even ratios:
# anything between tells the two apart.
_EARLY = 0.5
_DPI = 150
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
    # Without a salt ids are drawn at random, and the same figure gives other bytes.
    "svg.hashsalt": "w2s-rm",
    # Outlines of letters, because a reader may not have the font.
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Line:
    """Where a row is drawn.

    Args:
        row ([`ReportRow`]): The row.
        y (`float`): The height of its center; a line is one unit high, heights grow downwards.
    """

    row: ReportRow
    y: float


@dataclass(frozen=True)
class Images:
    """A figure in two formats: `png` (`bytes`, 150 dots per inch) and `svg` (`bytes`)."""

    png: bytes
    svg: bytes


def new_figure(width: float, height: float, h_pad: float = 0.12) -> Figure:
    """Make an empty figure whose parts keep clear of each other.

    Args:
        width (`float`): Inches.
        height (`float`): Inches.
        h_pad (`float`, *optional*, defaults to `0.12`): Inches above and below each part.
    """
    # Figure and canvas without pyplot: no window system, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=h_pad))
    FigureCanvasAgg(figure)
    return figure


def render(draw: Callable[[], Figure]) -> Images:
    """Draw a figure in the reports' style and give its files; the same figure gives the same bytes.

    Args:
        draw (`Callable[[], Figure]`): Draws it.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure = draw()
        png, svg = io.BytesIO(), io.BytesIO()
        # Laid out once: for each file matplotlib would draw all of it twice, to lay it out and to write it.
        figure.set_dpi(_DPI)
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine(None)
        # matplotlib signs files with its version and the date.
        figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Images(png.getvalue(), svg.getvalue())


def prepare(axes: Axes, *, grid: Literal["x", "y", "both"]) -> None:
    """Leave of the frame only the lower line, and draw a pale grid.

    Args:
        axes (`Axes`): The empty panel.
        grid (`str`): Across which axes: `"x"`, `"y"` or `"both"`.
    """
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def training_axis(axes: Axes, shares: Sequence[float]) -> None:
    """Lay out the horizontal axis of a panel over training: by even ratios where most evaluations are early.

    Args:
        axes (`Axes`): The panel.
        shares (`Sequence[float]`): Shares of the training at which models were evaluated, 0 and 1 among them.
    """
    places = sorted(set(shares))
    first = places[1]
    # Evenly spaced, the first of n evaluations lies at 1 / n; by even ratios, far before that.
    if first * (len(places) - 1) < _EARLY:
        # Logarithmic from the first evaluation on, and a straight line before it: 0, the untrained model, has no
        # logarithm.
        axes.set_xscale("symlog", linthresh=first, linscale=0.5)
        ticks = [1.0]
        while ticks[0] / 10 >= first:
            ticks.insert(0, ticks[0] / 10)
        axes.set_xticks([0.0, *ticks])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.minorticks_off()
    axes.set_xlim(0.0, 1.03)


def shortened(text: str, length: int) -> str:
    """Leave out the middle of a text that is too long: the ends of names tell models apart.

    Args:
        text (`str`): A name.
        length (`int`): Most characters.
    """
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[-(length - 1 - head) :]}"
