"""The rows about transcripts: each argument about the first examples of each kind of transcript of a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ArtifactError
from w2s_rm.runs.folder import REMEDY
from w2s_rm.runs.plan import PlannedStage, read_counts, read_run

SHOWN = 3
"""Examples of each kind of transcript."""


@dataclass(frozen=True)
class TranscriptRow:
    """An argument.

    Args:
        recipe (`str`): Name of the recipe.
        form (`str`): `debate` or `consultancy`.
        id (`str`): Example id.
        prompt (`str`): What is asked.
        turn (`int`): From 0.
        candidate (`str`): What is argued for.
        right (`bool`, *optional*): Whether that is the right one; `None` without ground truth.
        argument (`str`): What was said.
        n_arguments (`int`): How many the split has that the example is from.
        n_empty (`int`): How many of these say nothing.
    """

    recipe: str
    form: str
    id: str
    prompt: str
    turn: int
    candidate: str
    right: bool | None
    argument: str
    n_arguments: int
    n_empty: int


def collect_transcripts(run_dir: Path) -> list[TranscriptRow]:
    """Read the first transcripts of each form of a run, of its first seed.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished, or a file of it is broken.
    """
    run, first = read_run(run_dir), dict[str, tuple[PlannedStage, dict[str, Any]]]()
    for stage in run.stages:
        if stage.stage == "transcripts":
            counts = read_counts(stage)
            # In the order of the plan, where those of the test split come first.
            first.setdefault(counts["form"], (stage, dict(counts)))
    return [
        row for form, (stage, counts) in sorted(first.items()) for row in _of_stage(run.recipe, form, stage, counts)
    ]


def _of_stage(recipe: str, form: str, stage: PlannedStage, counts: dict[str, Any]) -> Iterator[TranscriptRow]:
    path = stage.folder / "transcripts.jsonl"
    try:
        with path.open(encoding="utf-8") as file:
            debates = [json.loads(line) for line in itertools.islice(file, SHOWN)]
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not transcripts ({error}); {REMEDY}") from error
    for debate in debates:
        for said in debate["arguments"]:
            candidate, gold = said["candidate"], debate["gold"]
            yield TranscriptRow(
                recipe=recipe,
                form=form,
                id=debate["id"],
                prompt=debate["prompt"],
                turn=said["turn"],
                candidate=debate["candidates"][candidate],
                right=None if gold is None else candidate == gold,
                argument=said["text"],
                n_arguments=counts["arguments"],
                n_empty=counts["empty"],
            )
