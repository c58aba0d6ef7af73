"""The rows about transcripts: each argument about the first examples of each kind of transcript of a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.errors import ArtifactError
from w2s_rm.runs.folder import REMEDY, StageFolder
from w2s_rm.runs.plan import PlannedStage, Run, read_counts, read_run

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
        n_read (`int`): Examples that judges of this form have labelled, over all seeds and splits.
        n_cut (`int`): How many of these were longer than `max_length` with their transcript, and lost the left of the
            question.
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
    n_read: int
    n_cut: int


def collect_transcripts(run_dir: Path) -> list[TranscriptRow]:
    """Read the first transcripts of each form of a run, of its first seed.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished, or a file of it is broken.
    """
    run = read_run(run_dir)
    first, forms = dict[str, tuple[PlannedStage, Mapping[str, Any]]](), dict[str, str]()
    for stage in run.stages:
        if stage.stage == "transcripts":
            counts = read_counts(stage)
            # By the hash, which is how the manifests of those who read it name it.
            forms[stage.folder.name.rpartition("-")[2]] = counts["form"]
            # In the order of the plan, where those of the test split come first.
            first.setdefault(counts["form"], (stage, counts))
    if not forms:
        return []
    read = _read(run, forms)
    return [
        row
        for form, (stage, counts) in sorted(first.items())
        for row in _of_stage(run.recipe, form, stage, {**counts, **read[form]})
    ]


def _read(run: Run, forms: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """What judges have labelled, by the form of what they read.

    Args:
        run: The run.
        forms: Hashes of stages with transcripts, and of which form these are.
    """
    read = {form: {"read": 0, "cut": 0} for form in forms.values()}
    # Methods share stages.
    for folder in {stage.folder: None for stage in run.stages if stage.stage == "relabel"}:
        manifest = StageFolder(folder).manifest()
        form = forms.get(str(manifest["inputs"].get("examples")).partition("/")[0])
        if form is not None:
            read[form]["read"] += manifest["counts"]["n_labelled"]
            read[form]["cut"] += manifest["counts"].get("cut_prompts", 0)
    return read


def _of_stage(recipe: str, form: str, stage: PlannedStage, counts: Mapping[str, Any]) -> Iterator[TranscriptRow]:
    path = stage.folder / "transcripts.jsonl"
    try:
        with path.open(encoding="utf-8") as file:
            # A file may have thousands of lines, of which the first few are read.
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
                n_read=counts["read"],
                n_cut=counts["cut"],
            )
