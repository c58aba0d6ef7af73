"""What debaters argued, in a few examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from w2s_rm.render.elements import Block, Heading, Paragraph, Table
from w2s_rm.report.sections._base import ReportedRun, Section
from w2s_rm.report.transcripts import TranscriptRow, collect_transcripts

_MOST = 300


class Transcripts(Section[TranscriptRow]):
    """A row for each argument about the first examples of each run whose judges read transcripts."""

    place: ClassVar[int] = 95

    def rows(self, runs: Sequence[ReportedRun]) -> list[TranscriptRow]:
        """Read the transcripts."""
        return [row for run in runs for row in collect_transcripts(run.folder)]

    def blocks(self, rows: Sequence[TranscriptRow]) -> list[Block]:
        """Compose the section."""
        header = ("Run", "Form", "Question", "Turn", "Argued for", "Which is", "Argument")
        lines = [
            (row.recipe, row.form, _short(row.prompt), str(row.turn + 1), _short(row.candidate), _verdict(row.right),
             _short(row.argument))
            for row in rows
        ]  # fmt: skip
        about = (
            "What the supervisor reads before it judges, and the student does not: the first examples of each form. "
        )
        where = "All are in `transcripts.jsonl` of the stages `transcripts`."
        return [Heading("Transcripts", 2), Paragraph(about + where), Table(header, tuple(lines), n_text=7)]

    def warnings(self, rows: Sequence[TranscriptRow]) -> list[str]:
        """Say where debaters were silent, and where judges did not read the whole question."""
        # Counts are of a form, the same in all of its rows.
        each = {(row.recipe, row.form): row for row in rows}
        silent = [
            f"{recipe}: in the {form} {row.n_empty:,} of {row.n_arguments:,} arguments say nothing."
            for (recipe, form), row in each.items()
            if row.n_empty
        ]
        cut = [
            f"{recipe}: {row.n_cut:,} of {row.n_read:,} examples are longer than max_length with their {form}, and "
            "judges did not read the beginning of the question; raise max_length, or take shorter arguments."
            for (recipe, form), row in each.items()
            if row.n_cut
        ]
        return silent + cut


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MOST else f"{words[: _MOST - 1]}…"


def _verdict(right: bool | None) -> str:
    return "–" if right is None else "right" if right else "wrong"
