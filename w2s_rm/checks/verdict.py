"""From numbers to warnings, one line each, that say what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from w2s_rm.checks.leakage import MOST_IDS
from w2s_rm.checks.result import Accuracy, CheckResult, NearLeak, Overlap, Thresholds, Wins
from w2s_rm.render.numbers import share, share_interval


def warnings_of(result: CheckResult, crossing_groups: Sequence[str], thresholds: Thresholds) -> tuple[str, ...]:
    """Say what is above its threshold.

    Args:
        result ([`CheckResult`]): All numbers.
        crossing_groups (`Sequence[str]`): Groups that stand in more than one split.
        thresholds ([`Thresholds`]): What is too much.
    """
    return (
        *_leaks(result, crossing_groups, thresholds),
        *_balance(result, thresholds),
        *_shortcuts(result, thresholds),
    )


def verdict_lines(warnings: Sequence[str]) -> list[str]:
    """Return `verdict: ok`, or how many warnings there are and each on a line of its own.

    Args:
        warnings (`Sequence[str]`): One sentence each.
    """
    if not warnings:
        return ["verdict: ok"]
    return [f"verdict: {len(warnings)} warning{'s' if len(warnings) > 1 else ''}", *(f"! {line}" for line in warnings)]


def interval(accuracy: Accuracy) -> str:
    """Write an accuracy as `12.3 % [10.1, 14.5]`."""
    return share_interval(accuracy.value, accuracy.low, accuracy.high)


def _leaks(result: CheckResult, crossing_groups: Sequence[str], thresholds: Thresholds) -> Iterator[str]:
    if crossing_groups:
        named = ", ".join(crossing_groups[:MOST_IDS])
        yield f"{len(crossing_groups)} groups stand in more than one split ({named}): split by group"
    for overlap in result.overlaps:
        if overlap.normalised > thresholds.duplicates * overlap.of:
            yield _overlap(overlap)
    for leak in result.near_leaks:
        # Candidates are no leak by themselves: moves of chess are always the same.
        if leak.part == "prompt" and leak.share > thresholds.duplicates:
            yield _same_prompt(leak)
    if result.wins is not None and abs(result.wins.moves) > thresholds.wins:
        yield _wins(result.wins)


def _overlap(overlap: Overlap) -> str:
    return (
        f"{overlap.normalised} of {overlap.of} examples in {overlap.split} stand in another split as well, "
        f"{overlap.exact} of them to the letter ({'; '.join(overlap.ids)}): group equal content, or drop it"
    )


def _same_prompt(leak: NearLeak) -> str:
    return (
        f"{share(leak.share)} of the test examples have a prompt that training has as well ({', '.join(leak.ids)}): "
        "group by the prompt"
    )


def _wins(wins: Wins) -> str:
    turned = "" if wins.moves > 0 else " (turned around: what lost in training wins in test)"
    return (
        f"wins and losses of the same texts in training decide {share(wins.decided)} of the test examples and are "
        f"right in {interval(wins.right)} of these, chance is {share(wins.chance)}{turned}: texts stand in several "
        "splits, so group by what they share (group_by: candidates, or first_words)"
    )


def _balance(result: CheckResult, thresholds: Thresholds) -> Iterator[str]:
    for split, shares in result.balance.items():
        missing = [repr(name) for name, share in shares.items() if not share]
        if missing:
            yield f"no example of class {', '.join(missing)} in {split}: use more examples, or fewer classes"
    most, first = result.majority, result.gold_first
    # The near end of the interval, here and below: what chance may have done is no warning.
    if most is not None and most.low > result.chance + thresholds.balance:
        yield (
            f"always answering {most.detail!r} is right in {interval(most)} of the test examples, chance is "
            f"{share(result.chance)}: balance the classes"
        )
    # To both sides: a place where the right candidate never stands gives it away as well.
    if first is not None and not _near(first, result.chance, thresholds.balance):
        yield (
            f"the right candidate stands first in {interval(first)} of the test examples, chance is "
            f"{share(result.chance)}: its position gives it away"
        )


def _near(accuracy: Accuracy, expected: float, distance: float) -> bool:
    return accuracy.low <= expected + distance and accuracy.high >= expected - distance


def _shortcuts(result: CheckResult, thresholds: Thresholds) -> Iterator[str]:
    length, words, base = result.length_only, result.bag_of_words, share(result.guessing)
    if length is not None and length.low > result.guessing + thresholds.length_only:
        how = f"choosing the {length.detail} candidate" if length.detail else "the length of the prompt"
        yield f"{how} is right in {interval(length)} of the test examples, guessing in {base}: a shortcut"
    if words is not None and words.low > result.guessing + thresholds.bag_of_words:
        yield f"words without order are right in {interval(words)} of the test examples, guessing in {base}: a shortcut"
