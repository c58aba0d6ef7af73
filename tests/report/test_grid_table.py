"""Runs over several weak and strong models as matrices, and only these."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from w2s_rm.render.elements import Heading, Hover, Table, plain_text
from w2s_rm.report.content import blocks
from w2s_rm.report.grid_table import grid_blocks
from w2s_rm.report.rows import ReportRow
from w2s_rm.report.table import collect

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]


def rows(make_run: MakeRun, answers: Answers, pairs: list[tuple[int, int]]) -> list[ReportRow]:
    """A run for each pair of accuracies of weak model and ceiling; students stand 5 and 10 points above the weak."""
    return [
        row
        for weak, strong in pairs
        for row in collect(
            make_run(
                f"grid_{weak}_{strong}",
                weak_model=f"m{weak}",
                strong_model=f"m{strong}",
                weak=[answers(weak)],
                students={"naive": [answers(weak + 5)], "logconf": [answers(weak + 10)]},
                ceiling=[answers(strong)],
            )
        )
    ]


def tables(found: list[ReportRow]) -> list[Table]:
    return [block for block in grid_blocks(found) if isinstance(block, Table)]


def lines(table: Table) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(plain_text, line)) for line in table.lines)


def test_a_triangle(make_run: MakeRun, answers: Answers) -> None:
    pairs = [(50, 50), (50, 70), (50, 90), (70, 70), (70, 90), (90, 90)]
    accuracy, pgr, *others = tables(rows(make_run, answers, pairs))
    assert accuracy.header == ("world_preference, naive: student %", "m50", "m70", "m90")
    assert lines(accuracy) == (
        ("m50", "55.0", "55.0", "55.0"),
        ("m70", "–", "75.0", "75.0"),
        ("m90", "–", "–", "95.0"),
    )
    assert pgr.header[0] == "world_preference, naive: PGR"
    # On the diagonal there is no gap to recover.
    assert lines(pgr) == (("m50", "–", "0.25", "0.13"), ("m70", "–", "–", "0.25"), ("m90", "–", "–", "–"))
    assert [table.header[0] for table in others] == [
        "world_preference, logconf: student %",
        "world_preference, logconf: PGR",
    ]
    assert Heading("Weak model by strong model", 2) in blocks(rows(make_run, answers, pairs))


def test_grids_of_other_seeds_on_one_task_have_tables_of_their_own(make_run: MakeRun, answers: Answers) -> None:
    found = rows(make_run, answers, [(50, 70), (50, 90), (60, 70), (60, 90)])
    again = [dataclasses.replace(row, seeds=(7,)) for row in found]
    assert len(tables(found)) == 4 and len(tables([*found, *again])) == 8


def test_a_pgr_that_is_not_reliable_says_so(make_run: MakeRun, answers: Answers) -> None:
    found = rows(make_run, answers, [(50, 70), (69, 70), (50, 90), (69, 90)])
    accuracies, pgrs = tables(found)[:2]
    assert lines(pgrs) == (("m50", "0.25", "0.13"), ("m69", "(5.00)", "0.24"))
    # The pages say the intervals where a pointer rests.
    row = found[0]
    assert accuracies.lines[0][1] == Hover(
        "55.0", f"95 % interval: {100 * row.student_low:.1f} to {100 * row.student_high:.1f}"
    )
    assert pgrs.lines[0][1] == Hover("0.25", f"95 % interval: [{row.pgr_low:.2f}, {row.pgr_high:.2f}]")


def test_what_is_no_grid_has_no_matrix(make_run: MakeRun, answers: Answers) -> None:
    assert grid_blocks(rows(make_run, answers, [(50, 70)])) == []
    assert grid_blocks(rows(make_run, answers, [(50, 70), (50, 90)])) == []
    # Two runs of one pair: a cell could show either.
    assert grid_blocks(rows(make_run, answers, [(50, 70), (60, 90), (50, 70)])) == []
