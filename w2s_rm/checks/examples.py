"""The check of a task's splits, all of it that needs no model. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from w2s_rm.checks.balance import chance, class_shares, gold_first, majority
from w2s_rm.checks.leakage import near_leaks, overlaps, split_groups, wins_in_training
from w2s_rm.checks.result import CheckResult, Thresholds
from w2s_rm.checks.sampling import labelled
from w2s_rm.checks.shortcuts import bag_of_words, length_only
from w2s_rm.checks.verdict import warnings_of
from w2s_rm.errors import DataError
from w2s_rm.types import Example

SPLITS = ("weak", "relabel", "validation", "test")
"""What is checked, in this order; other splits are left out."""


def check_examples(
    splits: Mapping[str, Sequence[Example]],
    classes: tuple[str, ...] | None,
    *,
    thresholds: Thresholds | None = None,
) -> CheckResult:
    """Check the splits of a task for leaks, shortcuts and unbalanced classes.

    Shortcuts are fitted on weak and relabel and measured on test. Deterministic, and independent of the order of
    examples and, without classes, of the order of candidates.

    Args:
        splits (`Mapping[str, Sequence[Example]]`): `weak`, `relabel`, `validation`, `test`; others are left out.
        classes (`tuple[str, ...]` or `None`): The candidates of every example, in this order; `None` where they are
            exchangeable.
        thresholds ([`Thresholds`], *optional*): What is too much; by default [`Thresholds`]'s own.

    Raises:
        DataError: No test examples.
    """
    # Empty ones, such as a validation split that nobody asked for, are left out.
    parts = {name: splits[name] for name in SPLITS if splits.get(name)}
    if "test" not in parts:
        raise DataError("nothing to check: the test split is empty; give more examples, or a smaller n_train")
    # Both: the weak model reads the one, students and ceiling the other, and what either gives away is a shortcut.
    train = [*parts.get("weak", ()), *parts.get("relabel", ())]
    result = CheckResult(
        rows={name: len(part) for name, part in parts.items()},
        groups={name: len({example.group for example in part}) for name, part in parts.items()},
        without_gold={name: sum(example.gold is None for example in part) for name, part in parts.items()},
        chance=chance(parts["test"]),
        balance=class_shares(parts, classes) if classes is not None else {},
        overlaps=overlaps(parts),
        near_leaks=near_leaks(train, parts["test"]) if classes is None else (),
    )
    result = _with_shortcuts(result, labelled(train), labelled(parts["test"]), classes)
    return replace(result, warnings=warnings_of(result, split_groups(parts), thresholds or Thresholds()))


def _with_shortcuts(
    result: CheckResult, train: Sequence[Example], test: Sequence[Example], classes: tuple[str, ...] | None
) -> CheckResult:
    if not test:
        return replace(result, reasons=("no ground truth in test: no class balance, no shortcuts can be measured",))
    # It is fitted to nothing, and is measured without training examples too.
    first = gold_first(test) if classes is None else None
    if not train:
        reason = "no ground truth in weak and relabel: there is nothing to fit a shortcut on"
        return replace(result, gold_first=first, reasons=(reason,))
    return replace(
        result,
        gold_first=first,
        majority=majority(train, test, classes) if classes is not None else None,
        wins=wins_in_training(train, test) if classes is None else None,
        length_only=length_only(train, test, classes),
        bag_of_words=bag_of_words(train, test, classes),
    )
