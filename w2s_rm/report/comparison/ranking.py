"""How the methods of several runs rank, each setting by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w2s_rm.metrics.ranking import rank
from w2s_rm.render.elements import Block, Bullets, Heading, Paragraph, Table
from w2s_rm.report.comparison.table import students
from w2s_rm.runs.plan import read_run

_HOW_TO_READ = (
    "A rank is a method's place by its students' accuracy in a run, 1 for the best; a win is a run in which it is the "
    "best. Equals share.",
    "Brackets are 95 % intervals over runs, and over the test examples and seeds of each: how ranks would come out for "
    "other tasks of the same kind. From few runs they are rough.",
)


@dataclass(frozen=True)
class RankRow:
    """A method among those that all runs of a setting have.

    Args:
        setting (`str`): The setting.
        method (`str`): The method.
        runs (`tuple[str, ...]`): The recipes.
        n_methods (`int`): Methods that are ranked.
        mean_rank (`float`): Mean over runs of its place by accuracy, 1 for the best.
        mean_rank_low (`float`): Lower end of its 95 % interval.
        mean_rank_high (`float`): Upper end.
        wins (`float`): Runs in which it is the best.
        wins_low (`float`): Lower end.
        wins_high (`float`): Upper end.
    """

    setting: str
    method: str
    runs: tuple[str, ...]
    n_methods: int
    mean_rank: float
    mean_rank_low: float
    mean_rank_high: float
    wins: float
    wins_low: float
    wins_high: float


def rank_methods(run_dirs: Sequence[Path]) -> list[RankRow]:
    """Rank the methods that all runs of a setting have, by the accuracy of their students.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs.

    Returns:
        `list[RankRow]`: Of settings in the order given, the best method first; none of a setting with a single run, or
            whose runs do not share two methods.

    Raises:
        ArtifactError: A run is not finished or its files are broken.
        DataError: Students of one run were scored on different test examples.
    """
    measured = [(run, means) for run in map(read_run, run_dirs) if (means := students(run, run.methods)) is not None]
    rows = []
    for setting in dict.fromkeys(run.setting for run, _ in measured):
        own = [(run, means) for run, means in measured if run.setting == setting]
        # A method that some run lacks has no rank there, and would be compared on other tasks than the others.
        methods = [name for name in own[0][0].methods if all(name in run.methods for run, _ in own)]
        if len(own) < 2 or len(methods) < 2:
            continue
        # Runs may name their methods in different orders: each is brought into one.
        rankings = rank([means.of([run.methods.index(name) for name in methods]) for run, means in own])
        rows += [
            RankRow(
                setting=setting,
                method=method,
                runs=tuple(run.recipe for run, _ in own),
                n_methods=len(methods),
                mean_rank=ranking.mean_rank.value,
                mean_rank_low=ranking.mean_rank.low,
                mean_rank_high=ranking.mean_rank.high,
                wins=ranking.wins.value,
                wins_low=ranking.wins.low,
                wins_high=ranking.wins.high,
            )
            # The best first; equals stay in the order of the first run.
            for method, ranking in sorted(zip(methods, rankings, strict=True), key=lambda pair: pair[1].mean_rank.value)
        ]
    return rows


def rank_blocks(rows: Sequence[RankRow]) -> list[Block]:
    """Compose the section.

    Args:
        rows (`Sequence[RankRow]`): Rows of any number of settings, at least one.
    """
    content: list[Block] = [Heading("Ranks of the methods", 2)]
    for setting in dict.fromkeys(row.setting for row in rows):
        own = [row for row in rows if row.setting == setting]
        lines = tuple(
            (
                row.method,
                f"{row.mean_rank:.2f} [{row.mean_rank_low:.2f}, {row.mean_rank_high:.2f}]",
                f"{row.wins:g} [{row.wins_low:g}, {row.wins_high:g}]",
            )
            for row in own
        )
        content.append(Paragraph(f"{setting}, {own[0].n_methods} methods that all {len(own[0].runs)} runs have."))
        content.append(Table(("Method", "Mean rank", f"Wins in {len(own[0].runs)} runs"), lines))
    return [*content, Bullets(_HOW_TO_READ)]
