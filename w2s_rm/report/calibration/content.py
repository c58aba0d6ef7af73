"""What the report says about calibration, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.metrics.calibration import N_BINS
from w2s_rm.render.elements import Block, Bullets, Figure, Heading, Table
from w2s_rm.render.numbers import bracketed, percent, points, ratio
from w2s_rm.report.calibration.rows import CalibrationRow

FIGURE = "calibration"
_HOW_TO_READ = (
    "Confidence is the probability that the softmax of the scores gives to the most probable candidate. Models are "
    "measured on the test split, labels on the split that students are trained on. Confidence − accuracy, in points, "
    "is above 0 for what is too sure of itself.",
    "NLL is the negative log-likelihood of the right candidate in nats, Brier the squared error over all candidates, "
    "from 0 to 2. ECE, the expected calibration error, is how far accuracy is from confidence on average over "
    f"{N_BINS} bins of equally many examples, less what chance adds; where its interval begins at 0, a calibrated "
    "model would show as much.",
    "T is the temperature by which scores are divided so that the right candidates become most likely: above 1 for "
    "what is too sure. It is fitted to each half of the examples and used on the other one, so that nothing is judged "
    "by its own fit; it changes no choice. A dash says that no temperature fits, as of what is no better than chance.",
    "Intervals are of 95 %, over groups of examples that share a prompt and, where there are several, over seeds.",
)


def calibration_blocks(rows: Sequence[CalibrationRow]) -> list[Block]:
    """Compose the section about calibration.

    Args:
        rows (`Sequence[CalibrationRow]`): At least one; those of a run together.
    """
    return [Heading("Calibration", 2), _table(rows), Figure(_description(rows), FIGURE), Bullets(_HOW_TO_READ)]


def _table(rows: Sequence[CalibrationRow]) -> Table:
    header = ("Run", "Model", "Confidence − accuracy", "NLL", "Brier", "ECE %", "T", "NLL at T", "ECE % at T")
    lines = [
        (
            row.recipe,
            row.title,
            bracketed(points, row.overconfidence, row.overconfidence_low, row.overconfidence_high),
            # Infinity has no number in JSON, so that rows have `None` for it.
            "∞" if row.nll is None else bracketed(_three_digits, row.nll, row.nll_low, row.nll_high),
            bracketed(_three_digits, row.brier, row.brier_low, row.brier_high),
            bracketed(percent, row.ece, row.ece_low, row.ece_high),
            ratio(row.temperature),
            "–" if row.tempered_nll is None else _three_digits(row.tempered_nll),
            percent(row.tempered_ece),
        )
        for row in rows
    ]
    return Table(header, tuple(lines), n_text=2)


def _three_digits(value: float) -> str:
    return f"{value:.3f}"


def _description(rows: Sequence[CalibrationRow]) -> str:
    parts = [
        f"{row.recipe}, {row.title}: confidence {percent(row.confidence)} %, accuracy {percent(row.accuracy)} %"
        for row in rows
    ]
    return "Accuracy over confidence, before and after a temperature. " + "; ".join(parts)
