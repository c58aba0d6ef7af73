"""From the files of a run to its test examples with the probabilities of all models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ArtifactError
from w2s_rm.report.examples.rows import JudgedExample, Pair, RunExamples
from w2s_rm.report.table import Read, reading_once
from w2s_rm.roles import CEILING, STUDENT, WEAK, ZERO_SHOT
from w2s_rm.runs.plan import PlannedStage, Run, read_counts, read_run
from w2s_rm.types import Example

_NAMES = {WEAK: "supervisor (weak label)", STUDENT: "student", CEILING: "ceiling", ZERO_SHOT: "untrained student"}
Shares = Mapping[str, tuple[float, ...]]
_Model = tuple[PlannedStage, ...]


def collect_examples(run_dir: Path) -> RunExamples:
    """Read the test examples of a run and what its models say of them.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished, its files are broken, or a model was scored on other examples.
        DataError: A file of examples is broken.
    """
    run = read_run(run_dir)
    splits = _splits(run)
    models, pairs = _models(run)
    if splits is None:
        return RunExamples(run.recipe, len(run.seeds), tuple(models), tuple(pairs), ())
    examples = {example.id: example for split in splits for example in split}
    n_seeds = Counter(example.id for split in splits for example in split)
    # Students as in the results: at the end of their training.
    read = reading_once()
    shares = [_mean_shares(stages, examples, read) for stages in models.values()]
    judged = tuple(_judged(example, n_seeds[example.id], shares) for example in examples.values())
    return RunExamples(run.recipe, len(run.seeds), tuple(models), tuple(pairs), judged)


def _splits(run: Run) -> list[list[Example]] | None:
    """The test split of each seed; `None` where one is not on file."""
    stages = [run.find("prepare", None, None, seed) for seed in run.seeds]
    paths = [stage.folder / "examples" / "test.parquet" for stage in stages if stage is not None]
    if len(paths) < len(stages) or not all(path.is_file() for path in paths):
        return None
    # Seeds share the file unless each has splits of its own; no draw changes the test split, but each writes it.
    read = {path: read_examples(path) for path in dict.fromkeys(paths)}
    return [read[path] for path in paths]


def _models(run: Run) -> tuple[dict[str, _Model], list[Pair]]:
    """All models by name, the supervisor first, each with its evaluations; and which of them belong together."""
    of_method = {
        (of, method): tuple(run.find_all("evaluate", of, method))
        for of in (WEAK, STUDENT, CEILING, ZERO_SHOT)
        for method in run.methods
    }
    # What methods share is one model.
    sharing: dict[tuple[str, _Model], list[str]] = {}
    for (of, method), stages in of_method.items():
        if stages:
            sharing.setdefault((of, stages), []).append(method)
    names = {key: _name(key[0], methods, run.methods) for key, methods in sharing.items()}
    places = {key: place for place, key in enumerate(sharing)}
    pairs = [
        Pair(
            method,
            places[STUDENT, of_method[STUDENT, method]],
            places.get((WEAK, of_method[WEAK, method])),
        )
        for method in run.methods
    ]
    return {names[key]: key[1] for key in sharing}, pairs


def _name(of: str, methods: Sequence[str], all_methods: Sequence[str]) -> str:
    # What all methods share needs no name of theirs.
    if of == STUDENT or len(methods) < len(all_methods):
        return f"{_NAMES[of]}, {', '.join(methods)}"
    return _NAMES[of]


def _mean_shares(stages: _Model, examples: Mapping[str, Example], read: Read) -> Shares:
    """Probabilities of the candidates of each example, means over the seeds that scored it."""
    by_id: dict[str, list[tuple[float, ...]]] = {}
    for stage in stages:
        predictions = read(stage)
        # What a file of labels says are probabilities already.
        as_they_are = "n_labelled" in read_counts(stage)
        for id, scores in zip(predictions.ids, predictions.scores, strict=True):
            if id not in examples or len(scores) != len(examples[id].candidates):
                raise ArtifactError(
                    f"{stage.folder}: scores of example {id!r}, which is not as in the test split of its stage "
                    "prepare; delete the folder and run the recipe again"
                )
            # Probabilities of different seeds have a mean; their scores are on scales of their own.
            by_id.setdefault(id, []).append(scores if as_they_are else _softmax(scores))
    return {
        id: tuple(math.fsum(shares) / len(rows) for shares in zip(*rows, strict=True)) for id, rows in by_id.items()
    }


def _softmax(scores: Sequence[float]) -> tuple[float, ...]:
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def _judged(example: Example, seeds: int, models: Sequence[Shares]) -> JudgedExample:
    shares = tuple(model.get(example.id) for model in models)
    return JudgedExample(example, seeds, shares, tuple(map(_choice, shares)))


def _choice(shares_K: Sequence[float] | None) -> int | None:
    if shares_K is None:
        return None
    # With a tie no candidate is chosen: a page can show one choice or none, where accuracies share the credit.
    highest = max(shares_K)
    return shares_K.index(highest) if shares_K.count(highest) == 1 else None
