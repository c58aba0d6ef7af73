"""An evaluation as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterator

from w2s_rm.metrics.reward_bench import OTHER
from w2s_rm.render.numbers import percent, percent_interval
from w2s_rm.render.plain import aligned
from w2s_rm.report.evaluation import Evaluation, Part


def evaluation_text(evaluation: Evaluation) -> str:
    """Format an evaluation: a line for each section and subset, the whole at the end, warnings below.

    Args:
        evaluation ([`~w2s_rm.report.evaluation.Evaluation`]): What was found.
    """
    header = ("", "comparisons", "accuracy % [95 %]", f"{evaluation.length_rule} %", "ties")
    lines = [header, *(_cells(name, part) for name, part in _named(evaluation))]
    return "\n".join([aligned(lines, indent=""), *_warnings(evaluation)])


def _named(evaluation: Evaluation) -> Iterator[tuple[str, Part]]:
    for section in evaluation.sections:
        yield section.name, section
        yield from ((f"  {part.name}", part) for part in evaluation.subsets if part.section == section.name)
    # Tasks other than RewardBench have subsets without sections.
    yield from ((part.name, part) for part in evaluation.subsets if part.section is None)
    if evaluation.score is not None:
        # A mean over fewer sections is another number, so the line says over how many.
        counted = sum(section.name != OTHER for section in evaluation.sections)
        yield f"score (mean of {counted} section{'s' if counted > 1 else ''})", evaluation.score
    yield "all comparisons", evaluation.overall


def _cells(name: str, part: Part) -> tuple[str, ...]:
    interval = percent_interval(part.accuracy, part.low, part.high)
    return (name, str(part.n), interval, percent(part.length_only), str(part.n_ties))


def _warnings(evaluation: Evaluation) -> Iterator[str]:
    unknown = [part for part in evaluation.subsets if part.section == OTHER]
    if unknown:
        count = sum(part.n for part in unknown)
        names = ", ".join(part.name for part in unknown)
        yield f"! {count} comparisons are of subsets that RewardBench does not have, outside the score: {names}"
    if evaluation.missing_sections:
        yield f"! no comparisons of {', '.join(evaluation.missing_sections)}: the score is not RewardBench's"
