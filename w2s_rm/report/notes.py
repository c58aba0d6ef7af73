"""What a reader must know before believing a row, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.numbers import percent, points_interval
from w2s_rm.report.formats import by_run
from w2s_rm.report.rows import ALIKE, ReportRow

# Digits of a share that a report shows: 33.1 % is not worse than 33.1 %.
_SHOWN = 3


def notes(rows: Sequence[ReportRow]) -> list[str]:
    """Return the warnings of all rows, those of a whole run once.

    Args:
        rows (`Sequence[ReportRow]`): Rows of any number of runs, those of a run together.
    """
    groups = by_run(rows)
    sentences = []
    for group in groups:
        run = f"{group[0].recipe}: " if len(groups) > 1 else ""
        shared = _shared_notes(group)
        sentences += [run + text for text in shared]
        for row in group:
            sentences += [f"{run}{row.method}: {text}" for text in row_notes(row)]
    return sentences


def row_notes(row: ReportRow) -> list[str]:
    """Return what is special about one method.

    Args:
        row ([`ReportRow`]): The row.
    """
    sentences: list[str] = []
    # Without truth there is nothing to compare; that there is none is said once for the whole run.
    if row.student_accuracy is None:
        return sentences
    if row.weak_accuracy is not None and round(row.student_accuracy, _SHOWN) < round(row.weak_accuracy, _SHOWN):
        student, weak = percent(row.student_accuracy), percent(row.weak_accuracy)
        sentences.append(f"the student ({student} %) is worse than its supervisor ({weak} %).")
    # A ceiling below its student is none, and the gap that PGR divides by is too small.
    if row.ceiling_accuracy is not None and round(row.student_accuracy, _SHOWN) > round(row.ceiling_accuracy, _SHOWN):
        student, ceiling = percent(row.student_accuracy), percent(row.ceiling_accuracy)
        sentences.append(f"the student ({student} %) is better than the ceiling ({ceiling} %).")
    if row.plain_ceiling_accuracy is not None:
        prepared, plain = percent(row.ceiling_accuracy), percent(row.plain_ceiling_accuracy)
        sentences.append(
            f"its ceiling ({prepared} %) was prepared as the student was; the plain ceiling has {plain} %."
        )
    return sentences + _zero_shot_notes(row)


def no_pgr_reason(row: ReportRow) -> str | None:
    """Say why a row has no PGR; `None` when it has one.

    Args:
        row ([`ReportRow`]): The row.
    """
    # It is about the gap: where it is known, there are all three accuracies.
    if row.reliable is not None:
        return None
    if row.n_scored == 0:
        return "The test examples have no ground truth, so there are no accuracies, no ceiling and no PGR."
    absent = []
    if row.weak_accuracy is None:
        absent.append(f"the supervisor was not evaluated on the test examples ({_coverage(row)})")
    if row.ceiling_accuracy is None:
        absent.append("no strong ceiling was trained")
    return f"There is no PGR, because {' and '.join(absent)}."


def _coverage(row: ReportRow) -> str:
    if not row.test_labelled:
        return "its labels do not cover them"
    right = f", right in {percent(row.test_label_accuracy)} %" if row.test_label_accuracy is not None else ""
    return f"its labels cover {row.test_labelled:,} of {row.n_test:,} of them{right}; label all"


def _shared_notes(group: Sequence[ReportRow]) -> list[str]:
    row = group[0]
    # Methods mostly lack their PGR for one reason.
    sentences = [reason for reason in dict.fromkeys(no_pgr_reason(row) for row in group) if reason]
    if 0 < row.n_scored < row.n_test:
        unknown = f"{row.n_test - row.n_scored:,} of {row.n_test:,} test examples"
        sentences.append(f"{unknown} have no ground truth, or it is a tie; they count only in the overall agreement.")
    sentences += _alike_notes(row) + _unreliable(group)
    if len(row.seeds) == 1:
        sentences.append("One seed only: the intervals do not cover how another seed would come out.")
    # Chance is known and no estimate, so one interval is enough.
    if row.weak_low is not None and row.weak_low <= row.chance:
        sentences.append(
            f"The supervisor ({percent(row.weak_accuracy)} %) cannot be told from chance ({percent(row.chance)} %)."
        )
    return sentences + _baseline_notes(row)


def _alike_notes(row: ReportRow) -> list[str]:
    """How many examples nobody could decide."""
    alike = [
        # Counts are named `candidates_alike (test)`: which examples they are of stands in the parentheses.
        f"{value:,} examples of {name.removeprefix(ALIKE).strip(' ()')}"
        for name, value in row.counts.items()
        if name.startswith(ALIKE)
    ]
    if not alike:
        return []
    return [
        "Candidates that are the same tokens, from the start or where max_length cuts them, count as ties: "
        f"{'; '.join(alike)}."
    ]


def _zero_shot_notes(row: ReportRow) -> list[str]:
    """Whether training on weak labels made the student better than it was."""
    # By the paired gain: the intervals of two accuracies may overlap although the models differ clearly.
    if row.zero_shot_gain is None or row.zero_shot_gain_low is None or row.zero_shot_gain_low > 0:
        return []
    student, untrained = percent(row.student_accuracy), percent(row.zero_shot_accuracy)
    if row.zero_shot_gain <= 0:
        relation, meaning = "is not better than", "weak supervision did not help it"
    else:
        relation, meaning = "cannot be told from", "weak supervision may not have helped it"
    return [f"the student ({student} %) {relation} the same model untrained ({untrained} %): {meaning}."]


def _baseline_notes(row: ReportRow) -> list[str]:
    """Shortcuts that explain the supervisor's accuracy, and a student that needed no supervisor."""
    if row.weak_accuracy is None or row.weak_low is None:
        return []
    weak, sentences = f"the supervisor ({percent(row.weak_accuracy)} %)", []
    for rule, value in (
        ("A rule that sees only lengths", row.length_only),
        ("A linear model on word counts (bag of words)", row.bag_of_words),
    ):
        # A rule at chance is no shortcut, however bad the supervisor.
        # By the lower end of the supervisor's interval: a rule within its noise may explain all that it does.
        if value is not None and value > row.chance and value >= row.weak_low:
            relation = "is as good as or better than" if value >= row.weak_accuracy else "comes within the noise of"
            sentences.append(f"{rule} ({percent(value)} %) {relation} {weak}: it may have learned that shortcut.")
    if row.zero_shot_accuracy is not None and row.zero_shot_accuracy > row.weak_accuracy:
        zero_shot = percent(row.zero_shot_accuracy)
        sentences.append(
            f"The untrained student ({zero_shot} %) is better than {weak}: PGR above 0 needs no weak labels."
        )
    return sentences


def _unreliable(group: Sequence[ReportRow]) -> list[str]:
    """One sentence for all methods that share a gap."""
    methods_of: dict[str, list[str]] = {}
    for row in group:
        # `None` is another case, without any gap.
        if row.reliable is False:
            # By the text of the gap: methods that share supervisor and ceiling share it.
            gap = points_interval(row.gap, row.gap_low, row.gap_high)
            methods_of.setdefault(gap, []).append(row.method)
    return [
        f"The PGR of {', '.join(methods)} is not reliable and is no result: it divides by the gap between ceiling and "
        f"supervisor, {gap}, which is not clearly above zero."
        for gap, methods in methods_of.items()
    ]
