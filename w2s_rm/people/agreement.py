"""How far labellers agree, and how long they took: of one file of judgements, or several files of labels."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from w2s_rm.data.distributions import best_candidates
from w2s_rm.data.judgements import LABELLER, Judgement, standing
from w2s_rm.data.label_files import WeakLabel, read_labels
from w2s_rm.data.reading import read_rows
from w2s_rm.errors import DataError
from w2s_rm.metrics.raters import cohens_kappa, fleiss_kappa, observed_interval
from w2s_rm.people.questions import TIE
from w2s_rm.people.sitting import read_judgements
from w2s_rm.render.numbers import ratio, share_interval
from w2s_rm.render.plain import aligned


@dataclass(frozen=True)
class Labeller:
    """What somebody, or a model, said of examples.

    Args:
        name (`str`): Who.
        candidate_ids (`Mapping[str, tuple[str, ...]]`): The candidates of each example, sorted.
        choices (`Mapping[str, int | str]`): By example id the place of the chosen one among these, or a tie.
        seconds (`tuple[float, ...]`): How long they took, where that is known.
    """

    name: str
    candidate_ids: Mapping[str, tuple[str, ...]]
    choices: Mapping[str, int | str]
    seconds: tuple[float, ...] = ()


def read_labellers(paths: Sequence[Path]) -> list[Labeller]:
    """Read who said what.

    Args:
        paths (`Sequence[Path]`): Files of judgements, with a labeller or several in each, and files of labels in any
            other form, each of one labeller.

    Raises:
        DataError: A file cannot be read.
    """
    read = [(path, labeller) for path in paths for labeller in _labellers(path)]
    # One name may stand in several files; only then its file is said.
    names = Counter(labeller.name for _, labeller in read)
    return [
        labeller if names[labeller.name] == 1 else replace(labeller, name=f"{labeller.name} in {path}")
        for path, labeller in read
    ]


def _labellers(path: Path) -> list[Labeller]:
    # A file without rows is refused by `read_rows`.
    (first,) = islice(read_rows(path), 1)
    if LABELLER in first.values:
        return of_judgements(read_judgements(path))
    return [_labeller(path.name, read_labels(path))]


def of_judgements(judgements: Sequence[Judgement]) -> list[Labeller]:
    """Return the labellers of a file, in the order of their names.

    Args:
        judgements (`Sequence[Judgement]`): In the order of their lines.
    """
    by_name: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in standing(judgements):
        by_name[judgement.labeller].append(judgement)
    return [
        _labeller(
            name,
            # `or` is for the type checker: `standing` leaves out what was taken back.
            [WeakLabel(answer.id, answer.candidate_ids, answer.probabilities or ()) for answer in said],
            tuple(answer.seconds for answer in said if answer.seconds is not None),
        )
        for name, said in sorted(by_name.items())
    ]


def _labeller(name: str, labels: Sequence[WeakLabel], seconds: tuple[float, ...] = ()) -> Labeller:
    # Sorted, because each labeller saw them in an order of their own.
    candidate_ids = {label.id: tuple(sorted(label.candidate_ids)) for label in labels}
    return Labeller(name, candidate_ids, {label.id: _choice(label) for label in labels}, seconds)


def _choice(label: WeakLabel) -> int | str:
    """Its place among the candidates in the order of their hashes: one for all labellers, and one for a class."""
    best = best_candidates(label)
    return sorted(label.candidate_ids).index(label.candidate_ids[best[0]]) if len(best) == 1 else TIE


def agreement_text(labellers: Sequence[Labeller]) -> str:
    """Say what each labeller did, how far each two agree, and all of them.

    Args:
        labellers (`Sequence[Labeller]`): At least one.

    Raises:
        DataError: Labels under one id are of different candidates.
    """
    parts = [aligned([("labeller", "answers", "ties", "seconds each"), *map(_line, labellers)], indent="")]
    pairs = list(itertools.combinations(labellers, 2))
    if pairs:
        header = ("labellers", "both", "Cohen's kappa", "agree [95 % interval]")
        parts.append(aligned([header, *(_pair(*pair) for pair in pairs)], indent="", n_aligned=3))
    if len(labellers) > 2:
        parts.append(_all(labellers))
    return "\n\n".join(parts)


def _line(labeller: Labeller) -> tuple[str, ...]:
    # The median, for a question that lay open over lunch would make a mean.
    seconds = f"{statistics.median(labeller.seconds):.1f}" if labeller.seconds else "–"
    ties = sum(choice == TIE for choice in labeller.choices.values())
    return labeller.name, f"{len(labeller.choices):,}", f"{ties:,}", seconds


def _pair(first: Labeller, second: Labeller) -> tuple[str, ...]:
    choices = _in_common((first, second))
    names = f"{first.name}, {second.name}"
    if not choices[0]:
        return names, "0", "–", "–"
    agreement = observed_interval(choices)
    return (
        names,
        f"{len(choices[0]):,}",
        # Beside the plain share: two who mostly name the more frequent class agree often, and show little by it.
        ratio(cohens_kappa(*choices)),
        share_interval(agreement.value, agreement.low, agreement.high),
    )


def _all(labellers: Sequence[Labeller]) -> str:
    choices = _in_common(labellers)
    if not choices[0]:
        return f"no example has an answer of all {len(labellers)}"
    agreement = observed_interval(choices)
    agreed = share_interval(agreement.value, agreement.low, agreement.high)
    kappa = ratio(fleiss_kappa(choices))
    return (
        f"{len(choices[0]):,} examples have an answer of all {len(labellers)}: two of these agree on {agreed}, "
        f"Fleiss' kappa {kappa}"
    )


def _in_common(labellers: Sequence[Labeller]) -> list[list[int | str]]:
    """The choices of each on the examples that all have answered."""
    # Which of these share a prompt no file of labels says: intervals take each for a draw of its own.
    ids = sorted(set.intersection(*(set(labeller.choices) for labeller in labellers)))
    first, *others = labellers
    for id, other in itertools.product(ids, others):
        if first.candidate_ids[id] != other.candidate_ids[id]:
            raise DataError(f"id {id!r}: {first.name} and {other.name} judged different candidates; compare one task")
    return [[labeller.choices[id] for id in ids] for labeller in labellers]
