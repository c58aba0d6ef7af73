"""One figure: true success and proxy reward over KL from the starting policy, a column for each trainer.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from w2s_rm.metrics.choices import Floats
from w2s_rm.report.drawing import CEILING, INK, MUTED, STUDENTS, WEAK, Images, new_figure, prepare, render
from w2s_rm.report.policy.rows import CurvePoint, Optimised, PolicyRow, policies_by_run
from w2s_rm.report.policy.tables import each_training, reward_model_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_WIDE, _INCHES_HIGH = 5.2, 5.6


@dataclass(frozen=True)
class _Style:
    """How the policies of one kind of reward model are drawn: `color` (`str`) and `marker` (`str`) of the end."""

    color: str
    marker: str


def plot_policies(rows: Sequence[PolicyRow]) -> Images:
    """Draw the over-optimisation figure; the same rows give the same bytes.

    Args:
        rows (`Sequence[PolicyRow]`): Rows of any number of runs, those of a run together.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[PolicyRow]) -> Figure:
    groups = policies_by_run(rows)
    columns = max(len(_trainers(group)) for group in groups)
    styles = _styles(rows)
    # A trainer alone gets more than a column, for the legend.
    figure = new_figure(1.2 + _INCHES_WIDE * max(columns, 1.4), 1.2 + _INCHES_HIGH * len(groups))
    panels = figure.subplots(2 * len(groups), columns, sharey="row", squeeze=False)
    for group, pairs in zip(groups, panels.reshape(len(groups), 2, columns), strict=True):
        _draw_run(group, pairs, styles, named=len(groups) > 1)
    _add_legend(figure, styles)
    return figure


def _trainers(group: Sequence[PolicyRow]) -> list[str]:
    return list(dict.fromkeys(row.trainer for row in group))


def _draw_run(group: Sequence[PolicyRow], pairs: Any, styles: Mapping[str, _Style], *, named: bool) -> None:
    """Draw a run into its panels, an array of two rows: a column for each trainer, columns left over empty."""
    trainers = _trainers(group)
    for column, (upper, lower) in enumerate(pairs.T):
        if column >= len(trainers):
            upper.set_visible(False)
            lower.set_visible(False)
            continue
        _draw_trainer(upper, lower, [row for row in group if row.trainer == trainers[column]], styles)
        upper.set_title(f"{group[0].recipe}: {trainers[column]}" if named else trainers[column], fontweight="bold")
    upper, lower = pairs[:, 0]
    upper.set_ylabel("true success rate\nof sampled completions")
    lower.set_ylabel("proxy reward (standard\ndeviations above the start)")


def _styles(rows: Sequence[PolicyRow]) -> dict[str, _Style]:
    """Each reward model's style by its name, in the order of the legend."""
    methods = list(dict.fromkeys(row.method for row in rows))
    students = {
        reward_model_name("student", method): _Style(STUDENTS[index % len(STUDENTS)], "o")
        for index, method in enumerate(methods)
    }
    every = {"weak": _Style(WEAK, "s"), **students, "ceiling": _Style(CEILING, "D")}
    # A run without a weak reward model, say, has no place for one in the legend.
    drawn = {reward_model_name(optimised.of, row.method) for row, optimised in each_training(rows)}
    return {name: style for name, style in every.items() if name in drawn}


def _draw_trainer(upper: Axes, lower: Axes, rows: Sequence[PolicyRow], styles: Mapping[str, _Style]) -> None:
    lower.sharex(upper)
    for axes in (upper, lower):
        prepare(axes, grid="both")
        # Gao et al. 2022 (arXiv 2210.10760) measure the distance of policies by the root of KL, too.
        axes.set_xscale("function", functions=(_root, _square))
    for row, optimised in each_training(rows):
        style = styles[reward_model_name(optimised.of, row.method)]
        _draw_curves(upper, optimised, "success", style)
        _draw_curves(lower, optimised, "reward", style)
        _draw_peak(upper, optimised, style)
    upper.axhline(rows[0].start_success, color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1)
    lower.axhline(0.0, color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1)
    # Over the curves of all seeds, which are drawn too, and not of their means alone.
    farthest = max(
        point.kl for row in rows for optimised in row.optimised for curve in optimised.seed_curves for point in curve
    )
    # Room for the mark at the end, and some width where no policy has moved.
    upper.set_xlim(0.0, 1.06 * max(farthest, 0.01))
    upper.tick_params(labelbottom=False)
    upper.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    lower.set_xlabel("KL from the starting policy (nats per completion, square-root scale)")


def _draw_curves(axes: Axes, optimised: Optimised, measure: str, style: _Style) -> None:
    """Seeds thin, their mean bold with a mark at its end."""
    # One seed is its own mean.
    if len(optimised.seed_curves) > 1:
        for curve in optimised.seed_curves:
            axes.plot(*_line(curve, measure), color=style.color, linewidth=0.9, alpha=0.4, zorder=2)
    kl, value = _line(optimised.curve, measure)
    axes.plot(kl, value, color=style.color, linewidth=2.4, zorder=3)
    axes.plot(
        kl[-1:], value[-1:], color=style.color, marker=style.marker, markersize=8, markeredgecolor="white", zorder=5,
        clip_on=False,
    )  # fmt: skip


def _draw_peak(axes: Axes, optimised: Optimised, style: _Style) -> None:
    """Ring the best place of the mean, where the end is below it."""
    if optimised.lost > 0:
        axes.plot(
            [max(optimised.peak.kl, 0.0)], [optimised.peak.success], marker="o", markersize=9, markerfacecolor="none",
            markeredgecolor=style.color, markeredgewidth=1.6, zorder=4, clip_on=False,
        )  # fmt: skip


def _line(curve: Sequence[CurvePoint], measure: str) -> tuple[list[float], list[float]]:
    # A KL estimated from samples may come out a little below zero.
    kl = [max(point.kl, 0.0) for point in curve]
    return kl, [point.success if measure == "success" else point.reward for point in curve]


def _add_legend(figure: Figure, styles: Mapping[str, _Style]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=style.color, marker=style.marker, linewidth=2.4, markersize=8, markeredgecolor="white",
               label=name)
        for name, style in styles.items()
    ]  # fmt: skip
    lines.append(Line2D([], [], color=INK, marker="o", linewidth=0, markersize=9, markerfacecolor="none", label="peak"))
    lines.append(Line2D([], [], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)), label="starting policy"))
    # About the width of the legend in one line: a mark and its letters. Beyond the figure it would be cut off.
    inches = sum(0.7 + 0.09 * len(str(line.get_label())) for line in lines)
    figure.legend(
        handles=lines, loc="outside upper left", ncols=len(lines) if inches < figure.get_figwidth() else 2,
        frameon=False, title="optimised against", title_fontproperties={"weight": "bold"}, alignment="left",
    )  # fmt: skip


def _root(value: Floats) -> Floats:
    return np.sqrt(np.maximum(value, 0.0))


def _square(value: Floats) -> Floats:
    return np.square(value)
