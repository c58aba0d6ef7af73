"""A check as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from w2s_rm.checks.report import CheckReport, Truncation
from w2s_rm.checks.result import Accuracy, CheckResult
from w2s_rm.checks.verdict import interval, verdict_lines
from w2s_rm.render.numbers import share
from w2s_rm.render.plain import aligned

Line = Sequence[str]


def check_text(report: CheckReport) -> str:
    """Format a check: the splits, what they share, what they give away, what is cut, the verdict.

    Args:
        report ([`CheckReport`]): The check.
    """
    result = report.result
    named = f"{report.subject} (task {report.task})" if report.subject != report.task else report.subject
    parts = [
        f"{named}: {report.n_examples} rows in {report.n_groups} groups, the largest of "
        f"{report.largest_group}, {report.duplicates} duplicates, "
        f"{report.contradictions} contradictions",
        aligned(_split_lines(result)),
        aligned(_measured_lines(result)),
    ]
    if report.truncations:
        header = ("tokenizer", "max_length", "examples", "prompts cut", "candidates cut", "alike")
        parts.append(aligned([header, *map(_truncation_line, report.truncations)]))
    unmeasured = [f"not measured: {reason}" for reason in result.reasons]
    parts.append("\n".join([*unmeasured, *verdict_lines(report.warnings)]))
    return "\n\n".join(parts)


def _split_lines(result: CheckResult) -> Iterator[Line]:
    # All splits that have truth have the same classes.
    classes = list(next(iter(result.balance.values()), {}))
    names = [f"{name.strip()!r}" for name in classes]
    yield ("split", "rows", "groups", "without gold", "seen before", "to the letter", *names)
    overlaps = {overlap.split: overlap for overlap in result.overlaps}
    for split, rows in result.rows.items():
        seen = overlaps.get(split)
        again = ("–", "–") if seen is None else (str(seen.normalised), str(seen.exact))
        shares = result.balance.get(split, {})
        cells = [share(shares[name]) if name in shares else "–" for name in classes]
        yield (split, str(rows), str(result.groups[split]), str(result.without_gold[split]), *again, *cells)


def _measured_lines(result: CheckResult) -> Iterator[Line]:
    yield ("on the test split", "share [95 % interval]")
    yield ("chance", share(result.chance))
    measured: tuple[tuple[str, Accuracy | None], ...] = (
        ("most frequent class", result.majority),
        ("right one stands first", result.gold_first),
        ("length only", result.length_only),
        ("bag of words", result.bag_of_words),
    )
    for name, accuracy in measured:
        if accuracy is not None:
            # Cells beyond the header are no columns: they stand at the end of the line as they are.
            yield (name, interval(accuracy), accuracy.detail)
    if result.wins is not None:
        wins = result.wins
        yield ("decided by wins in training", share(wins.decided), f"of these right: {interval(wins.right)}")
    for leak in result.near_leaks:
        yield (f"{leak.part} seen in training", share(leak.share), f"first: {leak.ids[0]}" if leak.ids else "")


def _truncation_line(truncation: Truncation) -> Line:
    name = f"{truncation.role} {truncation.model}"
    if truncation.skipped:
        return (name, "–", "–", "–", "–", "–", truncation.skipped)
    limit = "none" if truncation.max_length is None else str(truncation.max_length)
    cut = (share(truncation.cut_prompts), share(truncation.cut_candidates))
    return (name, limit, str(truncation.examples), *cut, str(truncation.alike))
