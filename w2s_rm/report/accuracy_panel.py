"""The left panel of the figure: accuracies of the models of each row, with the baselines of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_rm.render.numbers import percent
from w2s_rm.report.drawing import CEILING, MUTED, STUDENT, WEAK, Line
from w2s_rm.report.rows import ReportRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHORTCUT = "#a4508b"


@dataclass(frozen=True)
class _Model:
    """How a model is drawn: its label in the legend, color and marker; hollow and small when it was not trained."""

    label: str
    color: str
    marker: str
    trained: bool = True


_MODELS = {
    "weak": _Model("weak supervisor", WEAK, "s"),
    "student": _Model("student", STUDENT, "o"),
    "ceiling": _Model("strong ceiling", CEILING, "D"),
    "zero_shot": _Model("untrained student (zero-shot)", STUDENT, "o", trained=False),
}
# Places within the line: without a lane for the untrained student the others have more room.
_THREE_LANES = {"weak": -0.26, "student": 0.0, "ceiling": 0.26}
_FOUR_LANES = {"weak": -0.11, "student": 0.11, "ceiling": 0.33, "zero_shot": -0.33}


def draw_accuracies(axes: Axes, groups: Sequence[Sequence[Line]]) -> None:
    """Draw the panel.

    Args:
        axes (`Axes`): Where to draw.
        groups (`Sequence[Sequence[Line]]`): The lines of each run.
    """
    named: set[str] = set()

    def label(text: str) -> str | None:
        """Name each kind of mark once in the legend."""
        first = text not in named
        named.add(text)
        return text if first else None

    for group in groups:
        for line in group:
            _draw_gap(axes, line)
            lanes = _THREE_LANES if line.row.zero_shot_accuracy is None else _FOUR_LANES
            for name, offset in lanes.items():
                _draw_model(axes, line, name, offset, label)
        # Once for a run and not for each line: they do not depend on the method.
        _draw_baselines(axes, group, label)
    low, high = _range([line.row for group in groups for line in group])
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("test accuracy, 95 % intervals")


def _draw_gap(axes: Axes, line: Line) -> None:
    """Shade from weak to ceiling: the student's place in it is the PGR."""
    weak, ceiling = line.row.weak_accuracy, line.row.ceiling_accuracy
    if weak is not None and ceiling is not None:
        axes.barh(line.y, ceiling - weak, left=weak, height=0.9, color="#dfeaf4", zorder=1, linewidth=0)


def _draw_baselines(axes: Axes, group: Sequence[Line], label: Callable[[str], str | None]) -> None:
    """Mark chance and, where it was measured, the rule that sees only lengths, along all lines of a run."""
    # Along the lines of this run alone: another run has another chance.
    row, ends = group[0].row, [group[0].y - 0.48, group[-1].y + 0.48]
    axes.plot([row.chance] * 2, ends, color=MUTED, linestyle=(0, (3, 2)), linewidth=1.3, label=label("chance"))
    if row.length_only is not None:
        axes.plot(
            [row.length_only] * 2, ends, color=_SHORTCUT, linestyle=(0, (1, 2)), linewidth=1.3,
            label=label("length only"),
        )  # fmt: skip


def _draw_model(axes: Axes, line: Line, name: str, offset: float, label: Callable[[str], str | None]) -> None:
    value, low, high = _accuracy(line.row, name)
    if value is None or low is None or high is None:
        # Every row has a student: without its accuracy there is no truth, and nothing is known of the other models
        # either.
        if name == "student":
            axes.text(0.75, line.y, "no ground truth", transform=axes.get_yaxis_transform(), ha="center", va="center",
                      color=MUTED)  # fmt: skip
        return
    model = _MODELS[name]
    axes.errorbar(
        # matplotlib refuses an error below zero, were it by rounding alone.
        value, line.y + offset, xerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt=model.marker,
        color=model.color, markerfacecolor=model.color if model.trained else "white",
        markersize=7 if model.trained else 5, capsize=3 if model.trained else 0,
        linewidth=1.6 if model.trained else 0.9, zorder=4, label=label(model.label),
    )  # fmt: skip
    axes.annotate(
        percent(value), (high, line.y + offset), xytext=(6, 0), textcoords="offset points", va="center",
        color=model.color, fontsize=9, fontweight="bold" if name == "student" else "normal", zorder=5,
        path_effects=_halo(),
    )  # fmt: skip


def _halo() -> list[Any]:
    """A white rim, so that a number stays readable where a line passes behind it."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def _accuracy(row: ReportRow, name: str) -> tuple[float | None, float | None, float | None]:
    return {
        "weak": (row.weak_accuracy, row.weak_low, row.weak_high),
        "student": (row.student_accuracy, row.student_low, row.student_high),
        "ceiling": (row.ceiling_accuracy, row.ceiling_low, row.ceiling_high),
        "zero_shot": (row.zero_shot_accuracy, row.zero_shot_low, row.zero_shot_high),
    }[name]


def _range(rows: Sequence[ReportRow]) -> tuple[float, float]:
    """From the lowest mark to the highest, with room for the numbers."""
    measured = [value for row in rows for name in _MODELS for value in _accuracy(row, name) if value is not None]
    if not measured:
        return 0.0, 1.0
    values = measured + [row.chance for row in rows]
    values += [row.length_only for row in rows if row.length_only is not None]
    # At least ten points wide, or differences of tenths of a point would look large.
    width = max(max(values) - min(values), 0.1)
    # More on the right: numbers stand behind the upper ends of intervals.
    return max(0.0, min(values) - 0.06 * width), min(values) + 1.12 * width
