"""What reports say of solutions in steps: rows against arithmetic, and a section that others do not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from w2s_rm.data.examples import write_examples
from w2s_rm.report import write_report
from w2s_rm.report.process import ProcessRow, collect_process
from w2s_rm.types import Example, Step

MakeRun = Callable[..., Path]
# Three problems with two solutions of two steps each: the first is right, the second fails at its second step.
GOLD = [1, 1, 1, 0] * 3


def examples() -> list[Example]:
    made = []
    for number, gold in enumerate(GOLD):
        problem, solution, step = number // 4, number // 2 % 2, number % 2
        place = Step(f"p{problem}s{solution}", step, step == 1, (), solution == 0)
        made.append(Example(f"e{number:04d}", f"p{problem}", f"text {number}", (" wrong", " right"), gold, step=place))
    return made


def answers(judged: list[list[float]]) -> list[float]:
    """Of each step the probability of right, as scores: the fixture writes `1 - answer` and `answer`."""
    return [value for problem in judged for value in problem]


# A margin is 2 answer - 1. All that is right in the ceiling; the student takes the wrong solution of the last problem
# for right at its end, and knows better in the middle; the weak one sees nothing in the second, and errs in the third.
CEILING = [[0.9, 0.9, 0.9, 0.1]] * 3
STUDENT = [[0.9, 0.8, 0.9, 0.1], [0.9, 0.8, 0.9, 0.1], [0.7, 0.6, 0.2, 0.9]]
WEAK = [[0.9, 0.8, 0.9, 0.1], [0.6, 0.6, 0.6, 0.6], [0.4, 0.4, 0.9, 0.9]]


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    made: Path = make_run(
        "steps",
        weak=[answers(WEAK)] * 2,
        students={"steps": [answers(STUDENT)] * 2, "same": [answers(STUDENT)] * 2},
        ceiling=[answers(CEILING)] * 2,
        gold=GOLD,
        examples=examples(),
    )
    return made


def by_measure(rows: list[ProcessRow], method: str = "steps") -> dict[str, ProcessRow]:
    return {row.measure: row for row in rows if row.method == method}


def test_rows_are_arithmetic(run: Path) -> None:
    put_groups(run)
    rows = by_measure(collect_process(run))
    found = rows["first mistake found"]
    # Of six solutions the student misjudges one; the weak one three: mistakes unseen, one seen where there is none.
    assert (found.n_scored, found.chance) == (6, None)
    assert found.student_accuracy == pytest.approx(5 / 6)
    assert found.weak_accuracy == pytest.approx(3 / 6)
    assert found.ceiling_accuracy == 1 and found.pgr == pytest.approx((5 / 6 - 3 / 6) / (1 - 3 / 6))
    expected = {
        # The second problem is a tie for the weak one.
        "minimum": (1.5 / 3, 3 / 3),
        "product": (1.5 / 3, 3 / 3),
        "first mistake": (1.5 / 3, 3 / 3),
        "last": (1.5 / 3, 2 / 3),
    }
    assert len(rows) == 1 + len(expected)
    for reduction, (weak, student) in expected.items():
        row = rows[f"right solution chosen, {reduction}"]
        assert (row.n_scored, row.chance) == (3, 0.5)
        assert (row.weak_accuracy, row.student_accuracy, row.ceiling_accuracy) == pytest.approx((weak, student, 1.0))
        assert row.pgr == pytest.approx((student - weak) / (1 - weak))
        assert row.difference is None
    same = by_measure(collect_process(run), "same")["right solution chosen, last"]
    assert (same.difference, same.difference_to) == (0.0, "steps")


def put_groups(run: Path) -> None:
    """Tell the evaluations where the examples are, with the problems as their groups."""
    stages = json.loads((run / "plan.json").read_text())["stages"]
    (prepared,) = (Path(stage["folder"]) for stage in stages if stage["stage"] == "prepare")
    for stage in stages:
        if stage["stage"] == "evaluate":
            text = json.dumps({"stage": "evaluate", "examples": str(prepared / "examples" / "test.parquet")})
            (Path(stage["folder"]) / "config.yaml").write_text(text)


def test_the_section_stands_in_the_report(run: Path, tmp_path: Path) -> None:
    put_groups(run)
    write_report([run], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## Solutions in steps" in text and "right solution chosen, minimum" in text
    records = json.loads((tmp_path / "out" / "process.json").read_text())
    assert len(records) == 10 and records[0]["measure"] == "first mistake found"
    assert (tmp_path / "out" / "process.csv").is_file()


def test_other_tasks_have_no_such_section(make_run: MakeRun, tmp_path: Path) -> None:
    plain = [Example(f"e{i:04d}", f"g{i}", f"p{i}", ("a", "b"), 1) for i in range(12)]
    made = make_run(weak=[[1.0] * 12], students={"naive": [[1.0] * 12]}, ceiling=None, examples=plain, gold=[1] * 12)
    assert collect_process(made) == []
    (next(made.parent.glob("stages/prepare*")) / "examples" / "test.parquet").unlink()
    assert collect_process(made) == []


def test_steps_survive_the_file(tmp_path: Path) -> None:
    from w2s_rm.data.examples import read_examples, read_steps

    mixed = [*examples(), Example("plain", "g", "p", ("a", "b"), None)]
    write_examples(tmp_path / "mixed.parquet", mixed)
    assert read_examples(tmp_path / "mixed.parquet") == mixed
    assert read_steps(tmp_path / "mixed.parquet") == {one.id: one.step for one in mixed if one.step is not None}
    write_examples(tmp_path / "plain.parquet", mixed[-1:])
    assert read_steps(tmp_path / "plain.parquet") == {} and read_examples(tmp_path / "plain.parquet") == mixed[-1:]
