"""What the members of ensembles say: how right each is, how often they differ, and what their labels are together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import ClassVar

from w2s_rm.files import parse_yaml
from w2s_rm.render.elements import Block, Bullets, Heading, Table
from w2s_rm.render.numbers import percent
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.roles import LABELS
from w2s_rm.runs.plan import PlannedStage, Run, read_counts, read_run

_COMBINE = "combine"
_HOW_TO_READ = (
    "Of the labels that students are trained on, before transforms: the share that is right where the truth is known, "
    "of each member in the order of the recipe, and of what they say together; means over seeds.",
    "Disagreement: the share of pairs of members that choose different candidates, averaged over examples. Members "
    "that never differ are one supervisor, whatever their number.",
)


@dataclass(frozen=True)
class EnsembleRow:
    """The supervisor of a method that is an ensemble. All numbers are shares, means over seeds.

    Args:
        recipe (`str`): Name of the recipe.
        method (`str`): The first method that has it.
        n_seeds (`int`): Seeds.
        n_members (`int`): Members.
        member_accuracies (`tuple[float, ...]`): Share of each member's labels that is right; empty without ground
            truth.
        accuracy (`float` or `None`): The same of the labels that they give together.
        disagreement (`float`): Share of pairs of members that choose different candidates.
    """

    recipe: str
    method: str
    n_seeds: int
    n_members: int
    member_accuracies: tuple[float, ...]
    accuracy: float | None
    disagreement: float


class Ensembles(Section[EnsembleRow]):
    """A row for each ensemble that labels for students."""

    place: ClassVar[int] = 56

    def rows(self, runs: Sequence[ReportedRun]) -> list[EnsembleRow]:
        """Read what the members said."""
        return [row for run in runs for row in _of_run(read_run(run.folder))]

    def blocks(self, rows: Sequence[EnsembleRow]) -> list[Block]:
        """Compose the section."""
        header = ("Run", "Method", "Members", "Each right %", "Together %", "Disagreement %")
        lines = tuple(
            (
                row.recipe,
                row.method,
                str(row.n_members),
                ", ".join(map(percent, row.member_accuracies)) or "–",
                "–" if row.accuracy is None else percent(row.accuracy),
                percent(row.disagreement),
            )
            for row in rows
        )
        return [Heading("Ensembles of supervisors", 2), Table(header, lines, n_text=2), Bullets(_HOW_TO_READ)]


def _of_run(run: Run) -> Iterator[EnsembleRow]:
    seen = set()
    for method in run.methods:
        labelled = [stage for seed in run.seeds if (stage := run.find(None, LABELS, method, seed)) is not None]
        combined = [stage for stage in (_supervising(run, stage) for stage in labelled) if stage is not None]
        folders = tuple(stage.folder for stage in combined)
        # Methods that share a supervisor share its row.
        if len(folders) < len(run.seeds) or folders in seen:
            continue
        seen.add(folders)
        counts = list(map(read_counts, combined))
        accuracies = [count["member_accuracies"] for count in counts]
        known = all(value is not None for of_seed in accuracies for value in of_seed)
        yield EnsembleRow(
            recipe=run.recipe,
            method=method,
            n_seeds=len(run.seeds),
            n_members=int(counts[0]["members"]),
            member_accuracies=tuple(map(fmean, zip(*accuracies, strict=True))) if known else (),
            accuracy=fmean(count["label_accuracy"] for count in counts) if known else None,
            disagreement=fmean(count["disagreement"] for count in counts),
        )


def _supervising(run: Run, stage: PlannedStage) -> PlannedStage | None:
    """The ensemble whose labels of the same split a stage has, or changed; `None` where there is none."""
    by_name = {known.folder.name: known for known in run.stages}
    while stage.stage != _COMBINE:
        # By what it reads as `labels`: a transform may have looked at a second supervisor, and at other splits, too.
        config = stage.folder / "config.yaml"
        path = parse_yaml(config.read_text(encoding="utf-8")).get("labels") if config.is_file() else None
        before = None if path is None else by_name.get(Path(path).parent.name)
        if before is None:
            return None
        stage = before
    return stage
