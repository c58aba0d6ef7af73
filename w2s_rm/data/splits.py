"""Splits by a hash of the group, so that related examples stay together and new rows move nothing. No torch."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from w2s_rm.data.cues import with_cue
from w2s_rm.data.examples import content_id, hash_order, read_examples, write_examples
from w2s_rm.errors import DataError, OptionError, join_problems
from w2s_rm.types import Example, content_hash, hash_fraction, text_hash

__all__ = ["SIZES", "SplitSizes", "Splits", "hash_order", "read_examples", "split_examples", "write_examples"]

# In the order of their intervals: in another one, examples would change splits.
NAMES = ("test", "validation", "weak", "relabel")
BY_SEED = "by_seed"
_TRAIN_PER_TEST = 4
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SplitSizes:
    """How many examples an experiment uses, and in which of many ways they are divided.

    Args:
        n_train (`int`, *optional*): Pool for both halves: the weak supervisor trains on `n_train // 2`, the student and
            the ceiling on the rest. `None` takes all there are, 0 leaves all groups to the other splits.
        n_validation (`int`, *optional*, defaults to `0`): Held out for tuning.
        n_test (`int`, *optional*): Held out for the report. `None` takes all there are.
        draw (`int` or `str`, *optional*): Which of many ways to divide what is not tested; `"by_seed"`, another one for
            each seed of a recipe. The test split is the same in all of them.
        cue (`str`, *optional*): A word put into every example, see [`~w2s_rm.data.cues.with_cue`]: what the weak
            supervisor learns from it is wrong elsewhere.
        cue_agreement (`float`, *optional*, defaults to `0.9`): How often it goes with the right answer in the split
            `weak`, in [0, 1]; in all others as often as chance has it, one time in K of K candidates.

    Raises:
        OptionError: A size no experiment can have, or a word that is none.
    """

    n_train: int | None = None
    n_validation: int = 0
    n_test: int | None = None
    draw: int | str | None = None
    cue: str | None = None
    cue_agreement: float = 0.9

    def __post_init__(self) -> None:
        """Check the sizes."""
        problems = {
            option: f"is {value}; use at least {least}, or null for all there is"
            for option, value, least in (("n_train", self.n_train or None, 2), ("n_test", self.n_test, 1))
            if value is not None and value < least
        }
        if self.n_validation < 0:
            problems["n_validation"] = f"is {self.n_validation}; use 0 or more"
        if isinstance(self.draw, str) and self.draw != BY_SEED:
            problems["draw"] = f"is {self.draw!r}; use a whole number, or {BY_SEED} for another one with each seed"
        if self.cue is not None and not self.cue.strip():
            problems["cue"] = f"is {self.cue!r}; give a word that the models can read"
        if not 0 <= self.cue_agreement <= 1:
            problems["cue_agreement"] = f"is {self.cue_agreement}; use a share from 0 to 1"
        if problems:
            raise OptionError("sizes", problems)

    @property
    def wanted(self) -> dict[str, int | None]:
        """Examples asked for in each split; `None` for all that fall into it."""
        # Of an odd number the one left over goes to the student and the ceiling.
        half = None if self.n_train is None else self.n_train // 2
        rest = None if self.n_train is None or half is None else self.n_train - half
        return {"test": self.n_test, "validation": self.n_validation, "weak": half, "relabel": rest}

    @property
    def weights(self) -> dict[str, float]:
        """Width of each split's interval, before division by their sum.

        Sizes that are given are widths. A missing one follows from train : test = 4 : 1, validation without any other
        size is a tenth of the rest. So widths never depend on how many rows there are.
        """
        test = self.n_test or (self.n_train / _TRAIN_PER_TEST if self.n_train else 0.2)
        train = test * _TRAIN_PER_TEST if self.n_train is None else self.n_train
        validation = float(self.n_validation)
        if self.n_train is None and self.n_test is None:
            validation = 0.1 if self.n_validation else 0.0
        return {"test": test, "validation": validation, "weak": train / 2, "relabel": train / 2}


# Of `by_seed` a draw has the number of its seed, and seeds usually begin at 0.
_USUAL_DRAWS = range(5)

SIZES = tuple(option.name for option in fields(SplitSizes))
"""The keys of a task that are no options of it."""


def drawn_by(sizes: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return fields of [`SplitSizes`] with the number of the draw that a seed has.

    Args:
        sizes (`Mapping`): Some of its fields.
        seed (`int`): The seed.
    """
    return {**sizes, "draw": seed} if sizes.get("draw") == BY_SEED else dict(sizes)


@dataclass(frozen=True)
class Splits:
    """Disjoint in groups; each in an order that only depends on the ids.

    Args:
        weak (`tuple[Example, ...]`): The weak supervisor's training set.
        relabel (`tuple[Example, ...]`): Labelled by the supervisor; student and ceiling train on it.
        validation (`tuple[Example, ...]`): May be empty.
        test (`tuple[Example, ...]`): For the report.
        duplicates (`int`): Rows dropped because another has the same content and does not disagree.
        contradictions (`int`): Rows dropped because the kept row of the same content has the opposite label.
    """

    weak: tuple[Example, ...]
    relabel: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    duplicates: int
    contradictions: int

    @property
    def parts(self) -> dict[str, tuple[Example, ...]]:
        """The four splits by name."""
        return {"weak": self.weak, "relabel": self.relabel, "validation": self.validation, "test": self.test}


def split_examples(
    examples: Iterable[Example],
    sizes: SplitSizes,
    task_name: str,
    n_classes: int | None = None,
    *,
    has_classes: bool = False,
) -> Splits:
    """Draw the splits of an experiment.

    Each group has a fixed number in [0, 1) and falls into the split whose interval holds it; where more examples than
    asked for fall into a split, those with the smallest hash of their id are taken; of solutions in steps, whole groups
    by the smallest hash of these, with the one that crosses the size. So neither the order of the rows nor new rows
    move a group from one split to another. Another draw gives other numbers to the groups that are not
    tested, within the same intervals, and takes by another hash.

    Rows of the same content become one. Where they disagree on the gold label, the majority decides, and between equals
    a hash: annotators who contradict each other are noise in the data, not a mistake in it. Where one of them has a
    soft truth, the truth is the mean over all that have one.

    Args:
        examples (`Iterable[Example]`): All examples of a task.
        sizes (`SplitSizes`): How many to use.
        task_name (`str`): For messages.
        n_classes (`int`, *optional*): Give every gold index below this the same share of each split; the surplus of the
            larger classes is left out.
        has_classes (`bool`, *optional*, defaults to `False`): Whether candidates are classes, for a cue.

    Raises:
        DataError: One id with different contents, or too few examples (of a class) in a split; says what would fit.
    """
    # First: whatever follows goes by ids, splits and labels alike, and each must name one example.
    kept, duplicates, contradictions = _unique(examples, task_name)
    numbers = _Numbers({example.group for example in kept}, sizes.draw)
    pools: dict[str, list[Example]] = {name: [] for name in NAMES}
    intervals = _intervals(sizes)
    for example in kept:
        pools[numbers.split_of(example.group, intervals)].append(example)
    for name, pool in pools.items():
        drawn = () if name == "test" or sizes.draw is None else (sizes.draw,)
        # By another hash than that of the splits: what is taken of one says nothing about where its groups lie.
        pool.sort(key=lambda example, drawn=drawn: _turn(example, drawn))  # type: ignore[misc]
    usable = {name: _usable(Counter(example.gold for example in pool), n_classes) for name, pool in pools.items()}
    if not _fits(usable, sizes):
        raise DataError(_too_few(kept, pools, sizes, numbers, task_name, n_classes))
    taken = {name: _take(pools[name], sizes.wanted[name], n_classes) for name in NAMES}
    # After the split, on which it depends how often the word is right.
    if sizes.cue is not None:
        agreements = {name: sizes.cue_agreement if name == "weak" else None for name in NAMES}
        taken = {name: with_cue(part, sizes.cue, agreements[name], classes=has_classes) for name, part in taken.items()}
    return Splits(**taken, duplicates=duplicates, contradictions=contradictions)


class _Numbers:
    """The number in [0, 1) of each group.

    Args:
        groups (`Iterable[str]`): The groups.
        draw (`int` or `str`, *optional*): The draw; the one that is fixed where none is named.
    """

    def __init__(self, groups: Iterable[str], draw: int | str | None) -> None:
        self._fixed = {group: hash_fraction("split", group) for group in groups}
        self._drawn = {} if draw is None else {group: hash_fraction("split", draw, group) for group in self._fixed}

    def split_of(self, group: str, intervals: Sequence[tuple[float, str]]) -> str:
        """Name of the split whose interval holds a group's number."""
        number, (tested, _) = self._fixed[group], intervals[0]
        if self._drawn and number >= tested:
            # The drawn number is spread over what is left behind the test interval, which comes first: no draw moves a
            # group into it or out of it.
            number = tested + (1 - tested) * self._drawn[group]
        # Rounding may leave the last end below 1.
        return next((name for end, name in intervals if number < end), NAMES[-1])


def _unique(examples: Iterable[Example], task_name: str) -> tuple[list[Example], int, int]:
    by_id: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_id[example.id].append(example)
    kept, duplicates, contradictions, problems = [], 0, 0, []
    for id, same in by_id.items():
        if len(same) == 1:
            kept += same
            continue
        if len({content_id(example.prompt, example.candidates, example.template_kwargs) for example in same}) > 1:
            # Labels join by id: those of one row would become those of the other.
            problems.append(f"id {id!r} names {len(same)} rows of different content")
            continue
        soft = any(example.truth is not None for example in same)
        merged = _mean(same) if soft else _majority(id, same)
        # Rows without a gold label contradict nobody.
        against = sum(_gold_id(other) not in (_gold_id(merged), None) for other in same)
        kept.append(merged)
        contradictions += against
        duplicates += len(same) - 1 - against
    if problems:
        raise DataError(join_problems(f"{task_name}: ids must be unique; use another id_column, or none", problems))
    return kept, duplicates, contradictions


def _gold_id(example: Example) -> str | None:
    return None if example.gold is None else text_hash(example.candidates[example.gold])


def _majority(id: str, same: Sequence[Example]) -> Example:
    votes = Counter(gold for gold in map(_gold_id, same) if gold is not None)
    most = max(votes, key=lambda gold: (votes[gold], content_hash(id, gold)), default=None)
    # Which of the rows stays must not depend on their order.
    return min(
        (example for example in same if _gold_id(example) == most),
        key=lambda example: (example.group, example.margin or 0.0),
    )


def _mean(same: Sequence[Example]) -> Example:
    first = min(same, key=lambda example: (example.group, example.candidate_ids, example.margin or 0.0))
    known = [
        dict(zip(example.candidate_ids, example.targets, strict=True))
        for example in same
        if example.targets is not None
    ]
    truth = tuple(math.fsum(shares[key] for shares in known) / len(known) for key in first.candidate_ids)
    # Thirds and fifths do not add up to halves exactly.
    best = [k for k, share in enumerate(truth) if max(truth) - share < _ROUNDING]
    gold = best[0] if len(best) == 1 else None
    # A margin is by how much one response is better: where another is, it says nothing.
    return replace(first, truth=truth, gold=gold, margin=first.margin if gold == first.gold else None)


def _intervals(sizes: SplitSizes) -> list[tuple[float, str]]:
    """Upper end of each split's interval in [0, 1)."""
    weights = sizes.weights
    total, end, intervals = sum(weights.values()), 0.0, []
    for name in NAMES:
        end += weights[name] / total
        intervals.append((end, name))
    return intervals


def _usable(golds: Counter[int | None], n_classes: int | None) -> int:
    """How many examples can be taken: all, or the smallest class as often as there are classes."""
    return golds.total() if n_classes is None else n_classes * min(golds[gold] for gold in range(n_classes))


def _turn(example: Example, drawn: tuple[int | str, ...]) -> tuple[str | int, ...]:
    """When an example is taken: those of a solution one after the other, and the solutions of a problem."""
    if example.step is None:
        return (content_hash("take", *drawn, example.id),)
    return content_hash("take", *drawn, example.group), example.group, example.step.solution, example.step.number


def _take(pool: Sequence[Example], limit: int | None, n_classes: int | None) -> tuple[Example, ...]:
    if n_classes is None:
        end = len(pool) if limit is None else limit
        # What is chosen among the solutions of a problem means nothing where some of them, or their ends, are missing.
        while 0 < end < len(pool) and pool[end].step is not None and pool[end].group == pool[end - 1].group:
            end += 1
        return tuple(pool[:end])
    size = _usable(Counter(example.gold for example in pool), n_classes) if limit is None else limit
    # What does not divide evenly goes to the first classes, one each.
    room = Counter({gold: size // n_classes + (gold < size % n_classes) for gold in range(n_classes)})
    taken = []
    for example in pool:
        if example.gold is not None and room[example.gold] > 0:
            room[example.gold] -= 1
            taken.append(example)
    return tuple(taken)


def _fits(counts: Mapping[str, int], sizes: SplitSizes) -> bool:
    least = {name: 1 if size is None else size for name, size in sizes.wanted.items()}
    return all(counts[name] >= least[name] for name in NAMES)


def _too_few(
    kept: Sequence[Example],
    pools: Mapping[str, Sequence[Example]],
    sizes: SplitSizes,
    numbers: _Numbers,
    task_name: str,
    n_classes: int | None,
) -> str:
    groups: dict[str, Counter[int | None]] = defaultdict(Counter)
    for example in kept:
        groups[example.group][example.gold] += 1
    lines = [
        f"{name}: {len({example.group for example in pool})} groups with {len(pool)} examples"
        f"{_classes(pool, n_classes)}, {'at least 1' if sizes.wanted[name] is None else sizes.wanted[name]} needed"
        for name, pool in pools.items()
    ]
    # A recipe whose seeds draw splits of their own would else be told of sizes that its next seed refuses.
    also = () if sizes.draw is None else _USUAL_DRAWS
    drawn = [numbers, *(_Numbers(groups, draw) for draw in also if draw != sizes.draw)]
    fitting = _largest_fitting(groups, drawn, sizes, n_classes)
    if fitting is None:
        lines.append(
            "no sizes in these proportions fit: a group never spans splits, so name a group_column with more and "
            "smaller groups, or add data"
        )
    else:
        fitting_sizes = {
            name: value for name, value in asdict(fitting).items() if name[:2] == "n_" and value is not None
        }
        where = f" (in draws {also[0]} to {also[-1]} too)" if also else ""
        lines.append(
            f"these sizes fit{where}: " + ", ".join(f"{name}: {value}" for name, value in fitting_sizes.items())
        )
    largest = max((golds.total() for golds in groups.values()), default=0)
    return join_problems(
        f"{task_name}: too few for the splits ({len(kept)} examples in {len(groups)} groups, the largest of {largest})",
        lines,
    )


def _classes(pool: Sequence[Example], n_classes: int | None) -> str:
    if n_classes is None:
        return ""
    golds = Counter(example.gold for example in pool)
    each = " + ".join(str(golds[gold]) for gold in range(n_classes))
    return f" (classes {each}: {_usable(golds, n_classes)} when balanced)"


def _largest_fitting(
    groups: Mapping[str, Counter[int | None]], drawn: Sequence[_Numbers], sizes: SplitSizes, n_classes: int | None
) -> SplitSizes | None:
    """Sizes that fit in all draws, in the proportions asked for: all there is at first, less in steps of a hundredth.

    Rounding moves intervals, so each proposal is counted. A small validation set falls short by chance more than the
    others and may be cut by itself.
    """
    asked = sum(size for size in sizes.wanted.values() if size)
    # Never more than was asked for.
    most = min(1.0, sum(golds.total() for golds in groups.values()) / asked) if asked else 1.0
    for step in range(100):
        proposal = _scaled(sizes, most * (1 - step / 100))
        # A smaller validation set moves the other intervals, in which another number may then lie: a few tries, then
        # smaller sizes.
        for _ in range(3):
            if proposal is None:
                break
            each = [_usable_counts(groups, numbers, proposal, n_classes) for numbers in drawn]
            counts = {name: min(counts[name] for counts in each) for name in NAMES}
            if _fits(counts, proposal):
                return proposal
            proposal = _with_validation(proposal, counts["validation"])
    return None


def _usable_counts(
    groups: Mapping[str, Counter[int | None]], numbers: _Numbers, sizes: SplitSizes, n_classes: int | None
) -> dict[str, int]:
    intervals = _intervals(sizes)
    golds_of: dict[str, Counter[int | None]] = {name: Counter() for name in NAMES}
    for group, golds in groups.items():
        golds_of[numbers.split_of(group, intervals)] += golds
    return {name: _usable(golds, n_classes) for name, golds in golds_of.items()}


def _with_validation(sizes: SplitSizes, n: int) -> SplitSizes | None:
    return replace(sizes, n_validation=n) if 0 < n < sizes.n_validation else None


def _scaled(sizes: SplitSizes, factor: float) -> SplitSizes | None:
    """Sizes times a factor; `None` where nothing would be left of one."""
    n_train = None if sizes.n_train is None else int(sizes.n_train * factor)
    n_test = None if sizes.n_test is None else int(sizes.n_test * factor)
    n_validation = int(sizes.n_validation * factor)
    if (
        (sizes.n_train and n_train is not None and n_train < 2)
        or n_test == 0
        or (sizes.n_validation and not n_validation)
    ):
        return None
    return replace(sizes, n_train=n_train, n_validation=n_validation, n_test=n_test)


def portion(examples: Sequence[Example], number: int, parts: int, *, without: bool = False) -> list[Example]:
    """Take one of several parts of a split, of about equal size, by a hash of the group.

    Args:
        examples (`Sequence[Example]`): The split.
        number (`int`): Which part, from 0.
        parts (`int`): How many there are.
        without (`bool`, *optional*, defaults to `False`): Take all parts but this one.
    """
    # By another hash than that of the splits, in which all groups of a split lie beside each other.
    return [
        example for example in examples if (int(parts * hash_fraction("portion", example.group)) == number) != without
    ]
