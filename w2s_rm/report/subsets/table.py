"""The rows about subsets: one for each grouping, method and group of a run.

Shape suffixes: S seeds, N test examples with ground truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from w2s_rm.checks.text import plain
from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ArtifactError
from w2s_rm.metrics.choices import Floats
from w2s_rm.metrics.pairing import aligned, with_gold
from w2s_rm.report.fields import credits_of, interval_fields, pgr_fields
from w2s_rm.report.subsets.groupings import GROUPINGS, OnFile
from w2s_rm.report.subsets.rows import SubsetRow
from w2s_rm.report.table import Read, judged_by_labels, read_models, reading_once
from w2s_rm.roles import STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import Run, read_run
from w2s_rm.types import Example, Predictions


def collect_subsets(run_dir: Path) -> list[SubsetRow]:
    """Compute the rows of one run: groupings, groups and methods in their order.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Returns:
        `list[SubsetRow]`: Without groups that no example is in, and without groupings of a single group.

    Raises:
        ArtifactError: The run is not finished, its files are broken, or its examples are not those that were scored.
        DataError: Models were scored on different test examples.
    """
    run, read = read_run(run_dir), reading_once()
    texts = _examples(run)
    rows = [row for method in run.methods for row in _of_method(run, method, read, texts)]
    subsets = list(GROUPINGS)
    return sorted(rows, key=lambda row: subsets.index(row.subset))


def _examples(run: Run) -> Mapping[str, Example] | None:
    """The test examples by id; `None` where they were not kept beside the results."""
    prepared = run.find("prepare", None, None, run.seeds[0])
    path = None if prepared is None else prepared.folder / "examples" / "test.parquet"
    return None if path is None or not path.is_file() else {example.id: example for example in read_examples(path)}


def _of_method(run: Run, method: str, read: Read, texts: Mapping[str, Example] | None) -> Iterator[SubsetRow]:
    models = read_models(run, method, read)
    credits = credits_of({of: per_seed for of, per_seed in models.items() if of in TRAINED})
    if not credits:
        return
    # In this order credits are.
    ids = with_gold(next(iter(models.values()))[0]).ids
    known = OnFile(
        lengths=None if texts is None else _lengths(run, ids, texts),
        weak_SN=credits.get(WEAK),
        confidence_SN=_confidence(models.get(WEAK), ids, probabilities=bool(judged_by_labels(run, method))),
    )
    for name, grouping in GROUPINGS.items():
        groups = grouping(known)
        # Classes are the same candidates everywhere: they differ in length by the same, and form one group.
        if groups is None or len(np.unique(groups.of_N)) < 2:
            continue
        for number in np.unique(groups.of_N).tolist():
            inside_N = groups.of_N == number
            own = credits.only(inside_N)
            yield SubsetRow(
                recipe=run.recipe,
                setting=run.setting,
                task=run.task,
                method=method,
                subset=name,
                group=groups.names[number],
                from_value=float(groups.values_N[inside_N].min()),
                to_value=float(groups.values_N[inside_N].max()),
                seeds=run.seeds,
                n_scored=own[STUDENT].shape[1],
                **interval_fields(own, {of: (f"{of}_accuracy", of) for of in TRAINED}),
                **pgr_fields(own),
            )


def _lengths(run: Run, ids: Sequence[str], texts: Mapping[str, Example]) -> list[list[int]]:
    missing = [id_ for id_ in ids if id_ not in texts]
    if missing:
        raise ArtifactError(
            f"run {run.recipe!r}: {len(missing)} scored examples, such as {missing[0]!r}, are not in its test split; "
            "run the recipe again"
        )
    # As the rule measures them that sees only lengths.
    return [[len(plain(text)) for text in texts[id_].candidates] for id_ in ids]


def _confidence(weak: Sequence[Predictions] | None, ids: Sequence[str], *, probabilities: bool) -> Floats | None:
    """The probability of what the supervisor chooses, from scores or from labels, which are probabilities already."""
    if weak is None:
        return None
    scores = [aligned(with_gold(predictions), ids, name=WEAK).scores for predictions in weak]
    if probabilities:
        return np.array([[max(row) for row in per_seed] for per_seed in scores])
    # The highest over the sum: 1 over the sum of what is left when the highest is taken off.
    return np.array([[1 / np.exp(np.array(row) - max(row)).sum() for row in per_seed] for per_seed in scores])
