"""What the report says, as elements that Markdown and HTML only have to format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2s_rm.render.elements import Block, Bullets, Cell, Figure, Heading, PageBlock, Paragraph
from w2s_rm.render.numbers import percent_hover, ratio, ratio_hover
from w2s_rm.report.examples import RunExamples, example_blocks
from w2s_rm.report.formats import by_run, pgr_text, run_name
from w2s_rm.report.grid_table import grid_blocks
from w2s_rm.report.notes import no_pgr_reason, notes
from w2s_rm.report.provenance import provenance_blocks
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.sections import Collected
from w2s_rm.report.tables import (
    agreement_table,
    baselines_table,
    data_table,
    exact_match_table,
    no_candidate_table,
    results_table,
    seeds_table,
    side_by_side_table,
    stopping_table,
)

_HOW_TO_READ = (
    "A weak supervisor labels data, a strong student is trained on those labels, and a strong ceiling on the ground "
    "truth of the same data. All are scored on the same test examples; a model is right when it scores the right "
    "candidate highest, and ties share the credit.",
    "PGR, the performance gap recovered, is (student − weak) / (ceiling − weak): 0 means the student is as good as its "
    "supervisor, 1 that it is as good as the ceiling. It is never clipped, so it may be negative or above 1.",
    "Brackets are 95 % intervals over test examples and seeds, with the same examples and seeds for "
    "the three models. Intervals of accuracies may overlap although the models differ clearly, because they make many "
    "mistakes together.",
    "PGR is not reliable when the interval of the gap (ceiling − weak) is not above zero: it then divides by almost "
    "nothing. Its own interval has no ends where the gap cannot be told from zero.",
    "Agreement is how often the student chooses what its supervisor chooses. A student that learned more than to "
    "imitate agrees less where the supervisor is wrong.",
    "Baselines use no weak labels. Chance guesses among the candidates. The length rule sees only how long the "
    "candidates or the prompt are, the bag of words only which words occur: where they come near the supervisor, it "
    "may have learned no more than that. The untrained student is the strong model as it was before training "
    "(zero-shot), where it can score candidates then: what it already knows was not learned from the supervisor.",
)
_STOPPING = (
    "The student was scored several times during its training. Two of the columns are results: the end, and where it "
    "agreed most with the supervisor's labels of the validation split (the earliest among equals), which needs no "
    "truth. The third chooses by the very truth that it is measured with, and is too high by that: it says what a "
    "better rule could gain at the most."
)
_GREEDY = (
    "Exact match is the share of test examples for which the model, decoding greedily, writes the right candidate. "
    "Unlike accuracy it does not offer the candidates to choose from, so a model may also write none of them: that "
    "counts as wrong and is listed as a share of its own."
)


def blocks(rows: Sequence[ReportRow], sections: Sequence[Collected] = ()) -> list[Block]:
    """Compose the report.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
        sections (`Sequence[Collected]`, *optional*): What is said besides the results, in this order.
    """
    return [*_opening(rows, sections), *_rest(rows, sections)]


def page_blocks(
    rows: Sequence[ReportRow],
    sections: Sequence[Collected],
    examples: Sequence[RunExamples],
    run_dirs: Sequence[Path],
) -> list[PageBlock]:
    """Compose the page: the report, with the test examples and with how it came about.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
        sections (`Sequence[Collected]`): What is said besides the results, in this order.
        examples (`Sequence[RunExamples]`): The test examples of each run.
        run_dirs (`Sequence[Path]`): The runs' folders.
    """
    return [
        *_opening(rows, sections),
        *example_blocks(examples),
        *_rest(rows, sections),
        *provenance_blocks(run_dirs),
    ]


def _opening(rows: Sequence[ReportRow], sections: Sequence[Collected]) -> list[Block]:
    """What came out, and what to know before believing it."""
    groups = by_run(rows)
    warnings = [*notes(rows), *(text for collected in sections for text in collected.section.warnings(collected.rows))]
    content: list[Block] = [Heading("Weak-to-strong report", 1), *_findings(rows)]
    content += [block for collected in sections for block in collected.section.findings(collected.rows)]
    if len(groups) > 1:
        content += [Heading("Side by side", 2), side_by_side_table(groups), *grid_blocks(rows)]
    # The page folds what comes after its first figure, but for sections that warn.
    content.append(Figure(_description(rows)))
    if warnings:
        content += [Heading("Warnings", 2), Bullets(tuple(warnings), warning=True)]
    return content


def _rest(rows: Sequence[ReportRow], sections: Sequence[Collected]) -> list[Block]:
    """What a reader asks next."""
    groups = by_run(rows)
    content: list[Block] = [Heading("Results", 2), results_table(rows)]
    # This rule needs evaluations and truth and nothing else; the other one needs a validation split as well.
    evaluated = [row for row in rows if row.student_accuracy_best is not None]
    if evaluated:
        content += [Heading("Early stopping", 2), stopping_table(evaluated), Paragraph(_STOPPING)]
    content += [Heading("Baselines", 2), baselines_table(groups)]
    # By these and not by exact match, which needs truth besides.
    written = [row for row in rows if row.student_no_candidate is not None]
    if written:
        content += [
            Heading("Greedy answers", 2),
            Paragraph(_GREEDY),
            exact_match_table(written),
            no_candidate_table(written),
        ]
    content += [block for collected in sections for block in collected.section.blocks(collected.rows)]
    content += [Heading("How to read this", 2), Bullets(_HOW_TO_READ)]
    content += [Heading("Agreement with the supervisor", 2), agreement_table(rows)]
    content += [Heading("Each seed", 2), seeds_table(rows)]
    if any(group[0].counts for group in groups):
        content += [Heading("Data", 2), data_table(groups)]
    return content


def _findings(rows: Sequence[ReportRow]) -> list[Block]:
    """The outcome in a sentence for each run."""
    content: list[Block] = []
    for group in by_run(rows):
        # Examples and seeds are those of the run, the same in all of its rows.
        row = group[0]
        examples = f"{row.n_test:,} test examples, {_count(len(row.seeds), 'seed')}"
        content.append(Paragraph((f"{run_name(row)} ({examples}). ", *_outcome(group))))
    return content


def _outcome(group: Sequence[ReportRow]) -> tuple[Cell, ...]:
    reliable = [row for row in group if row.reliable and row.pgr is not None]
    if not reliable:
        return (no_pgr_reason(group[0]) or "The gap is too small for a reliable PGR (see the warnings).",)
    # The best of several is somewhat too high; the sentence says of how many it is, and the table shows all.
    best = max(reliable, key=lambda row: row.pgr or 0.0)
    subject = f"The best student of {len(group)} methods" if len(group) > 1 else "The student"
    return (
        "The supervisor is right on ",
        percent_hover(best.weak_accuracy, best.weak_low, best.weak_high),
        " % and the ceiling on ",
        percent_hover(best.ceiling_accuracy, best.ceiling_low, best.ceiling_high),
        f" %. {subject}, {best.method}, reaches ",
        percent_hover(best.student_accuracy, best.student_low, best.student_high),
        " % and recovers ",
        ratio_hover(best.pgr, best.pgr_low, best.pgr_high, ratio(best.pgr)),
        " of the gap.",
    )


def _description(rows: Sequence[ReportRow]) -> str:
    # It is read where the figure is not seen: what the figure says, and not how it looks.
    parts = [f"{row.recipe}, {row.method}: PGR {pgr_text(row)}" for row in rows]
    return "Accuracy of weak supervisor, student and ceiling, and performance gap recovered. " + "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
