"""What the models and labels of a run say, example by example, and which examples belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_rm.data.examples import read_truth
from w2s_rm.data.label_files import read_log_probabilities
from w2s_rm.data.predictions import read_predictions
from w2s_rm.files import parse_yaml
from w2s_rm.metrics.forecasts import Forecasts, forecasts
from w2s_rm.metrics.resampling import Resampling, resampling
from w2s_rm.roles import LABELS, TRAINED
from w2s_rm.runs.places import beside
from w2s_rm.runs.plan import PlannedStage, Run, read_counts
from w2s_rm.types import Predictions, hash_fraction

_LABELS_FILE, _PREDICTIONS_FILE = "weak_labels.parquet", "predictions.parquet"
# The one transform that is meant to give probabilities.
_TEMPERATURE = "temperature"


@dataclass(frozen=True, eq=False)
class Sample:
    """Examples with ground truth, in the order of their ids.

    Args:
        grouped (`bool`): Whether it is known which of them share a prompt; if not, none does.
        drawn ([`~w2s_rm.metrics.resampling.Resampling`]): Draws whole groups of them.
        second_N (`ndarray` of shape `(N,)`): Which are in the second of two halves; a hash puts a group into one.
    """

    grouped: bool
    drawn: Resampling
    second_N: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scored:
    """A model, or labels, of a run.

    Args:
        role (`str`): A word of [`w2s_rm.roles`].
        method (`str`, *optional*): The method that it belongs to; `None` where methods share it.
        said_S (`tuple[Forecasts, ...]`): What it says, for each seed.
        samples_S (`tuple[Sample, ...]`): Of which examples, for each seed: the same object where they are the same.
        transforms (`tuple[str, ...]`): Of labels: what was done to those that the supervisor gave.
    """

    role: str
    method: str | None
    said_S: tuple[Forecasts, ...]
    samples_S: tuple[Sample, ...]
    transforms: tuple[str, ...] = ()

    @property
    def n_examples(self) -> int:
        """Examples of a seed."""
        return len(self.said_S[0].gold_B)

    @property
    def n_groups(self) -> int | None:
        """Groups that they form; `None` where that is not known."""
        return self.samples_S[0].drawn.n_groups if self.samples_S[0].grouped else None

    @property
    def drawn_S(self) -> tuple[Resampling, ...]:
        """How the examples of each seed are drawn."""
        return tuple(sample.drawn for sample in self.samples_S)


def title(role: str, method: str | None, transforms: Sequence[str] = ()) -> str:
    """Name a model or labels in a table or a figure.

    Args:
        role (`str`): A word of [`w2s_rm.roles`].
        method (`str`, *optional*): The method that it belongs to.
        transforms (`Sequence[str]`, *optional*): What was done to labels.
    """
    after = f"after {', '.join(transforms)}" if transforms else None
    return " ".join(word for word in (role, method, after) if word is not None)


def read_scored(run: Run, read: Callable[[PlannedStage], Predictions] | None = None) -> list[Scored]:
    """Read what supervisors, students and ceilings say of the test examples with ground truth.

    Args:
        run ([`~w2s_rm.runs.plan.Run`]): A finished run.
        read (`Callable`, *optional*): Reads what the model of an evaluation says; by default the saved one.

    Returns:
        `list[Scored]`: Each model once, though methods may share it: supervisors, then students, then ceilings. Labels
            that cover a part of the examples are no such model: they cannot stand beside what others say of all.

    Raises:
        ArtifactError: A file is broken.
    """
    samples, seen, models = _Samples(), set[tuple[Path, ...]](), list[Scored]()
    for role in TRAINED:
        for method in run.methods:
            stages = run.find_all("evaluate", role, method)
            # By folders and not by method: methods without a supervisor or a ceiling of their own lead to the shared
            # ones.
            folders = tuple(stage.folder for stage in stages)
            if stages and folders not in seen and not of_a_part(stages):
                seen.add(folders)
                models += samples.scored(
                    role, stages[0].method, [_predictions(stage, read or _saved) for stage in stages]
                )
    return models


def of_a_part(evaluations: Sequence[PlannedStage]) -> bool:
    """Whether a supervisor was judged by labels that some of the test examples lack.

    Args:
        evaluations (`Sequence[PlannedStage]`): Its evaluations, one for each seed.
    """
    counted = [read_counts(stage) for stage in evaluations]
    return any(counts["n_labelled"] < counts["examples"] for counts in counted if "n_labelled" in counts)


def read_labels(run: Run) -> list[Scored]:
    """Read the labels that students are trained on, where these and their examples are on file.

    Of labels that transforms changed, `temperature` among them, those that are left are read as they were given, too.
    What other transforms make of a supervisor's labels is not read: it is not meant for a probability.

    Args:
        run ([`~w2s_rm.runs.plan.Run`]): A finished run.

    Returns:
        `list[Scored]`: Each once, though methods may share them.

    Raises:
        DataError: A file is broken.
    """
    samples, folders, seen, sets = _Samples(), set[tuple[Path, ...]](), set[tuple[object, ...]](), list[Scored]()
    for method in (None, *run.methods):
        stages = [stage for seed in run.seeds if (stage := run.find(None, LABELS, method, seed)) is not None]
        of_seeds = tuple(stage.folder for stage in stages)
        # Methods without transforms have the stage that labels in common.
        if len(of_seeds) < len(run.seeds) or of_seeds in folders:
            continue
        folders.add(of_seeds)
        transforms = tuple(str(entry["name"]) for entry in _config(stages[0]).get("transforms", ()))
        if transforms and _TEMPERATURE not in transforms:
            continue
        said = [_labels(stage) for stage in stages]
        before = [_given(stage, made) for stage, made in zip(stages, said, strict=True)] if transforms else said
        named = stages[0].method
        # By file and examples: methods that transform the same labels were given the same ones, but a transform may
        # have dropped some, and another as many others.
        if (key := tuple((labels.file, frozenset(labels.rows)) for labels in before)) not in seen:
            seen.add(key)
            sets += samples.scored(LABELS, named, before)
        if transforms:
            sets += samples.scored(LABELS, named, said, transforms)
    return sets


@dataclass(frozen=True)
class _Said:
    """What one file says of each example, in scores or probabilities, and the stage that knows the examples."""

    file: Path
    rows: Mapping[str, tuple[Sequence[float], int | None]]
    probabilities: bool
    stage: PlannedStage


def _saved(stage: PlannedStage) -> Predictions:
    return read_predictions(stage.folder / _PREDICTIONS_FILE)


def _predictions(stage: PlannedStage, read: Callable[[PlannedStage], Predictions]) -> _Said:
    said = read(stage)
    rows = dict(zip(said.ids, zip(said.scores, said.gold, strict=True), strict=True))
    # Labels that stand for a supervisor are written as they are.
    return _Said(stage.folder / _PREDICTIONS_FILE, rows, "n_labelled" in read_counts(stage), stage)


def _labels(stage: PlannedStage) -> _Said:
    """The labels that a stage made; none where it is not on file what they are of."""
    file, examples = stage.folder / _LABELS_FILE, examples_of(stage)
    if examples is None or not file.is_file():
        return _Said(file, {}, False, stage)
    # The truth comes from the examples: files of labels do not have it.
    truth = read_truth(examples)
    rows = {id: (logs, truth[id][1]) for id, logs in read_log_probabilities(file).items()}
    return _Said(file, rows, False, stage)


def _given(stage: PlannedStage, made: _Said) -> _Said:
    """The labels that a stage was given of the examples that it left."""
    file = beside(stage.folder, Path(_config(stage)["labels"]))
    if not file.is_file():
        return _Said(file, {}, False, stage)
    log_probabilities = read_log_probabilities(file)
    return _Said(file, {id: (log_probabilities[id], gold) for id, (_, gold) in made.rows.items()}, False, stage)


def examples_of(stage: PlannedStage) -> Path | None:
    """Return the file of the examples that a stage read; `None` where it is not there.

    Args:
        stage ([`~w2s_rm.runs.plan.PlannedStage`]): The stage.
    """
    config = _config(stage)
    path = beside(stage.folder, Path(config["examples"])) if "examples" in config else None
    return path if path is not None and path.is_file() else None


def grouped(said: Predictions, truth: Mapping[str, tuple[str, int | None]]) -> Predictions:
    """Say of each example in which group it is; one that is not on file is alone.

    Args:
        said ([`~w2s_rm.types.Predictions`]): What a model says.
        truth (`Mapping`): What [`~w2s_rm.data.examples.read_truth`] read of the examples.
    """
    return dataclasses.replace(said, groups=tuple(truth[id][0] if id in truth else id for id in said.ids))


def _config(stage: PlannedStage) -> Mapping[str, Any]:
    path = stage.folder / "config.yaml"
    return parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}


class _Samples:
    """Makes one sample of the same examples, however many models say something of them."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], Sample] = {}

    def scored(
        self, role: str, method: str | None, said_S: Sequence[_Said], transforms: tuple[str, ...] = ()
    ) -> list[Scored]:
        """Of the examples with ground truth; nothing where there are none for a seed."""
        # Sorted, so that models scored in another order have the same sample, and resamples are drawn once for all.
        known_S = [sorted(id for id, (_, gold) in said.rows.items() if gold is not None) for said in said_S]
        if not all(known_S):
            return []
        read_S = []
        for said, ids in zip(said_S, known_S, strict=True):
            scores, gold = zip(*(said.rows[id] for id in ids), strict=True)
            read_S.append(forecasts(scores, gold, ids, probabilities=said.probabilities))
        # The same object for the same examples: by that `sums_each` sees that seeds can be resampled at once.
        samples_S = [self._sample(tuple(ids), said.stage) for said, ids in zip(said_S, known_S, strict=True)]
        return [Scored(role, method, tuple(read_S), tuple(samples_S), transforms)]

    def _sample(self, ids: tuple[str, ...], stage: PlannedStage) -> Sample:
        if ids not in self._made:
            examples = examples_of(stage)
            truth = {} if examples is None else read_truth(examples)
            groups = [truth[id][0] if id in truth else id for id in ids]
            # By the group, so that what is fitted to one half has seen nothing of the other.
            halves = {group: hash_fraction("half", group) >= 0.5 for group in set(groups)}
            # Seeds may draw their examples anew; those are independent.
            drawn = resampling(groups, stream=len(self._made))
            self._made[ids] = Sample(examples is not None, drawn, np.array([halves[group] for group in groups]))
        return self._made[ids]
