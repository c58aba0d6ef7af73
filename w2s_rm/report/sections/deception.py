"""Where students err whose supervisor has an aim against the truth: in what it knows itself, or in what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from w2s_rm.render.elements import Block, Bullets, Heading, Table
from w2s_rm.render.numbers import bracketed, percent, points
from w2s_rm.report.fields import interval_ends
from w2s_rm.report.hypotheses import Results
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.roles import STUDENT
from w2s_rm.runs.plan import Run

_OPPOSE = "oppose"
_HOW_TO_READ = (
    "Tax: accuracy of the students without the conflicting aim minus that of those with it, in points.",
    "Deception score: of the examples that the ceiling and the student without the conflict have right and the student "
    "with it has wrong, the share that the supervisor has wrong: what is known to the strong model and unknown to the "
    "weak one. The notions are those of Yang et al. 2024 (arXiv 2406.11431), the formulas stand in "
    "`w2s_rm/metrics/deception.py`. None is given where it cannot be told that anything was lost.",
    "By chance: that share of all examples that ceiling and student without the conflict have right. Only what a score "
    "has above it says that errors keep to what the supervisor cannot see.",
)


@dataclass(frozen=True)
class DeceptionRow:
    """A method whose supervisor has an aim against the truth. All numbers are shares, with 95 % intervals.

    Args:
        recipe (`str`): Name of the recipe.
        method (`str`): The method.
        beside (`str`): The method without the aim.
        n_seeds (`int`): Seeds.
        tax (`float`): Accuracy without the aim minus accuracy with it.
        tax_low (`float`): Lower end.
        tax_high (`float`): Upper end.
        score (`float` or `None`): Deception score; `None`, and the excess too, where it cannot be told that anything
            was lost.
        score_low (`float` or `None`): Lower end.
        score_high (`float` or `None`): Upper end.
        chance (`float`): What it would be for errors that do not depend on what the supervisor knows.
        excess (`float` or `None`): Score minus chance.
        excess_low (`float` or `None`): Lower end.
        excess_high (`float` or `None`): Upper end.
    """

    recipe: str
    method: str
    beside: str
    n_seeds: int
    tax: float
    tax_low: float
    tax_high: float
    score: float | None
    score_low: float | None
    score_high: float | None
    chance: float
    excess: float | None
    excess_low: float | None
    excess_high: float | None


class Deception(Section[DeceptionRow]):
    """A row for each method whose supervisor is drawn to what is wrong, beside the one that others are set beside."""

    place: ClassVar[int] = 57

    def rows(self, runs: Sequence[ReportedRun]) -> list[DeceptionRow]:
        """Say what the aim cost, and where."""
        return [row for run in runs for row in _of_run(Results(run.folder))]

    def blocks(self, rows: Sequence[DeceptionRow]) -> list[Block]:
        """Compose the section."""
        header = ("Run", "Method", "Beside", "Tax", "Deception score %", "By chance %", "Score minus chance")
        lines = tuple((row.recipe, row.method, row.beside, *_cells(row)) for row in rows)
        return [Heading("Deception", 2), Table(header, lines, n_text=3), Bullets(_HOW_TO_READ)]


def _of_run(results: Results) -> Iterator[DeceptionRow]:
    run = results.run
    for method in run.methods:
        # Beside a baseline that is opposed as well nobody is without the aim.
        if method != run.baseline and _is_opposed(run, method) and not _is_opposed(run, run.baseline):
            found = results.deception(method, run.baseline)
            # The excess takes in both ratios: where it is sure, the score is.
            sure = found.excess.sure
            yield DeceptionRow(
                recipe=run.recipe,
                method=method,
                beside=run.baseline,
                n_seeds=len(run.seeds),
                **interval_ends("tax", found.tax.interval()),
                **interval_ends("score", found.score.interval() if sure else None),
                chance=found.chance.value,
                **interval_ends("excess", found.excess.interval() if sure else None),
            )


def _is_opposed(run: Run, method: str) -> bool:
    """Whether what its students were trained on was drawn towards what is wrong."""
    # By the stages that led to the student and not by the recipe: the aim may stand inside other supervisors.
    students = run.find_all("evaluate", STUDENT, method)
    return any(behind.stage == _OPPOSE for student in students for behind in run.behind(student))


def _cells(row: DeceptionRow) -> tuple[str, ...]:
    tax = bracketed(points, row.tax, row.tax_low, row.tax_high)
    # Where it cannot be told that anything was lost, the tax says so, and there is no share of it.
    if row.score is None or row.excess is None:
        return (tax, "–", percent(row.chance), "–")
    score = bracketed(percent, row.score, row.score_low, row.score_high)
    return (tax, score, percent(row.chance), bracketed(points, row.excess, row.excess_low, row.excess_high))
