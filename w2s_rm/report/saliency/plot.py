"""One figure: how well students tell mistakes, over their size, and PGR over that.

matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2s_rm.report.drawing import INK, MUTED, STUDENTS, UNRELIABLE, Images, new_figure, prepare, render
from w2s_rm.report.saliency.rows import SaliencyRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE, _HIGH = 11.6, 4.4
# As in the other figures of PGR: one student of almost no gap must not flatten all others.
_LOWEST, _HIGHEST = -1.0, 2.0
_CHANCE = 0.5
_DASHES: Any = (0, (3, 2))
_BESIDE = 0.07


def plot_saliency(rows: Sequence[SaliencyRow]) -> Images:
    """Draw what students can tell; the same rows give the same bytes.

    Args:
        rows (`Sequence[SaliencyRow]`): Rows of any number of runs, at least one.
    """
    return render(lambda: _figure(rows))


def _figure(rows: Sequence[SaliencyRow]) -> Figure:
    figure = new_figure(_WIDE, _HIGH)
    left, right = figure.subplots(1, 2)
    prepare(left, grid="y")
    prepare(right, grid="both")
    # From small to large where sizes are known, else in the rows' order.
    ordered = sorted(rows, key=lambda row: (row.weak_size or 0, row.strong_size or 0))
    students = list(dict.fromkeys(row.strong_model for row in sorted(ordered, key=lambda row: row.strong_size or 0)))
    lines = list(dict.fromkeys((row.weak_model, row.task, row.method) for row in ordered))
    for place, key in enumerate(lines):
        own = [row for row in ordered if (row.weak_model, row.task, row.method) == key]
        # The supervisor, and of task and method what tells one line from another.
        name = " ".join(
            str(word or "labels from a file")
            for part, word in enumerate(key)
            if len({line[part] for line in lines}) > 1 or not part
        )
        _draw(
            left, right, own, students, STUDENTS[place % len(STUDENTS)], name, _BESIDE * (place - (len(lines) - 1) / 2)
        )
    left.axhline(_CHANCE, color=INK, linewidth=1, zorder=1)
    left.text(0.01, _CHANCE, "chance", transform=left.get_yaxis_transform(), va="bottom", color=MUTED, fontsize=8)
    left.set_xticks(range(len(students)), [name.removeprefix("pretrained ") for name in students])
    left.set_xlabel("student")
    left.set_ylabel("area under the ROC for “supervisor wrong”")
    right.legend(
        *left.get_legend_handles_labels(), frameon=False, fontsize=9, title="supervisor\n(dashed: its doubt)",
        title_fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip
    for mark in (0.0, 1.0):
        right.axhline(mark, color=INK, linewidth=1, zorder=1)
    known = [row.pgr for row in rows if row.pgr is not None]
    right.set_ylim(max(_LOWEST, min([0.0, *known]) - 0.08), min(_HIGHEST, max([1.0, *known]) + 0.08))
    right.set_xlabel("area under the ROC for “supervisor wrong”")
    right.set_ylabel("performance gap recovered")
    return figure


def _draw(
    left: Axes, right: Axes, rows: Sequence[SaliencyRow], students: Sequence[str], color: str, name: str, beside: float
) -> None:
    # Beside each other, so that none hides another.
    places = [students.index(row.strong_model) + beside for row in rows]
    for place, row in zip(places, rows, strict=True):
        left.plot([place] * 2, [row.saliency_low, row.saliency_high], color=color, linewidth=1.2, zorder=3)
    left.plot(places, [row.saliency for row in rows], color=color, marker="o", markersize=5, zorder=4, label=name)
    # One supervisor, one doubt: whoever the student is.
    ends = [min(places) - 0.2, max(places) + 0.2]
    left.plot(ends, [rows[0].doubt] * 2, color=color, linestyle=_DASHES, linewidth=1.2, zorder=2)
    for row in rows:
        if row.pgr is not None:
            own = color if row.reliable else UNRELIABLE
            right.plot([row.saliency_low, row.saliency_high], [row.pgr] * 2, color=own, linewidth=0.8, zorder=3)
            if row.pgr_low is not None and row.pgr_high is not None:
                right.plot([row.saliency] * 2, [row.pgr_low, row.pgr_high], color=own, linewidth=0.8, zorder=3)
            right.plot([row.saliency], [row.pgr], color=own, marker="o", markersize=5, zorder=4)
