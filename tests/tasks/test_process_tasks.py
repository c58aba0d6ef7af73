"""Solutions in steps: the public column forms, what is judged, bad rows, contests and the generated derivations."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import DataError, OptionError
from w2s_rm.programs.prepare import read_task
from w2s_rm.tasks._process import Solution, so_far, step_examples
from w2s_rm.tasks.big_bench_mistake import BigBenchMistake
from w2s_rm.tasks.prm_steps import PrmSteps
from w2s_rm.tasks.world_chains import WorldChains
from w2s_rm.testbed.world import World
from w2s_rm.types import Example, Row

PRM = PrmSteps("unused.jsonl")
STEPWISE: dict[str, Any] = dict(PRM.example_row)
SHEPHERD = {
    "input": "Ann has 2 pens. She buys 3. Step 1: 2 + 3 = 5 ки\nStep 2: 5 - 1 = 4 ки\nStep 3: The answer is: 4 ки",
    "label": "Ann has 2 pens. She buys 3. Step 1: 2 + 3 = 5 +\nStep 2: 5 - 1 = 4 -\nStep 3: The answer is: 4 -",
    "task": "GSM8K",
}
PRM800K = {
    "question": {"problem": "What is 2 + 2?", "ground_truth_answer": "4"},
    "label": {
        "steps": [
            {
                "completions": [{"text": "Hm.", "rating": -1}, {"text": "2 + 2 is 4.", "rating": 0}],
                "chosen_completion": 1,
            },
            {"completions": [{"text": "So 5.", "rating": -1}], "human_completion": "So 4.", "chosen_completion": None},
            {"completions": [{"text": "Done.", "rating": 1}], "chosen_completion": 0},
            # The attempt failed here: nothing was chosen.
            {"completions": [{"text": "Or 3.", "rating": -1}], "chosen_completion": None},
        ]
    },
}


def test_steps_become_examples_with_the_text_up_to_them() -> None:
    examples = step_examples(Solution("Why?\n", ("a", "bc", ""), (1, 0, 0), False), "\n")
    assert [example.prompt for example in examples] == ["Why?\na\n", "Why?\na\nbc\n", "Why?\na\nbc\n\n"]
    assert [example.gold for example in examples] == [1, 0, 0]
    assert {example.candidates for example in examples} == {(" wrong", " right")}
    for number, example in enumerate(examples):
        assert example.step is not None
        assert (example.step.number, example.step.last, example.step.right) == (number, number == 2, False)
        cuts = (0, *example.step.cuts)
        pieces = [str(example.prompt)[start:end] for start, end in itertools.pairwise(cuts)]
        assert pieces == ["Why?\n", "a", "\n", "bc", "\n", "", "\n"][: 3 + 2 * number]
    assert len({example.id for example in examples}) == 3 and len({example.group for example in examples}) == 1
    assert so_far((1, 1, 0, 1)) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("values", "problem", "steps", "labels"),
    [
        (STEPWISE, STEPWISE["prompt"], STEPWISE["completions"], (1, 0)),
        (
            SHEPHERD,
            "Ann has 2 pens. She buys 3.",
            ["Step 1: 2 + 3 = 5", "Step 2: 5 - 1 = 4", "Step 3: The answer is: 4"],
            (1, 0, 0),
        ),
        (PRM800K, "What is 2 + 2?", ["2 + 2 is 4.", "So 4.", "Done.", "Or 3."], (1, 1, 1, 0)),
    ],
    ids=["trl", "math_shepherd", "prm800k"],
)
def test_the_public_forms(values: dict[str, Any], problem: str, steps: list[str], labels: tuple[int, ...]) -> None:
    found = PRM.solution(Row("here", values))
    assert (found.problem, list(found.steps), found.labels) == (f"{problem}\n", steps, labels)
    assert found.right == all(labels)


def test_a_solution_stays_wrong_unless_labels_are_taken_as_they_stand() -> None:
    values = {"prompt": "p", "completions": ["a", "b", "c"], "labels": [True, 0, 1.0]}
    assert PRM.solution(Row("here", values)).labels == (1, 0, 0)
    assert PrmSteps("unused", up_to=False).solution(Row("here", values)).labels == (1, 0, 1)
    # As TRL's trainer puts problem and steps together.
    text = PrmSteps("unused", prompt_end="").to_example(Row("here", values)).prompt
    assert text == "pa\nb\nc\n"


def shepherd(text: str) -> dict[str, str]:
    """A row of Math-Shepherd, from what is labelled: a sign stands where the mark was."""
    return {"input": text.replace(" +", " ки").replace(" -", " ки"), "label": text}


@pytest.mark.parametrize(
    ("text", "problem", "steps", "labels"),
    [
        ("Q? step 1: a +\nstep 2: b -", "Q?", ["step 1: a", "step 2: b"], (1, 0)),
        # Some problems hold a mark of their own; its label is of no step.
        ("Round to a - hundred. Step 1: a +\nStep 2: b +\n", "Round to a hundred.", ["Step 1: a", "Step 2: b"], (1, 1)),
        ("Ann has 2 pens. - Step 1: a +", "Ann has 2 pens.", ["Step 1: a"], (1,)),
    ],
)
def test_math_shepherd_as_it_is_published(text: str, problem: str, steps: list[str], labels: tuple[int, ...]) -> None:
    found = PRM.solution(Row("here", shepherd(text)))
    assert (found.problem, list(found.steps), found.labels) == (f"{problem}\n", steps, labels)


def attempt(*steps: Any, reason: str | None = None) -> dict[str, Any]:
    """A row of PRM800K: ratings of the first completion, or entries as they stand."""
    entries = [
        step if isinstance(step, dict) else {"completions": [{"text": "s", "rating": step}], "chosen_completion": 0}
        for step in steps
    ]
    return {"question": {"problem": "p"}, "label": {"steps": entries, "finish_reason": reason}}


NOTHING = {"completions": None, "human_completion": None, "chosen_completion": None}


@pytest.mark.parametrize(
    ("values", "labels", "right"),
    [
        (attempt(1, 0, reason="solution"), (1, 1), True),
        (attempt(1, 0), (1, 1), True),
        (attempt(1, -1, reason="solution"), (1, 0), False),
        (attempt(1, 1, reason="found_error"), (1, 1), False),
        (attempt(1, -1, reason="found_error"), (1, 0), False),
        # Nobody knows what would have come of it.
        (attempt(1, 0, reason="give_up"), (1, 1), None),
        (attempt(1, -1, reason="give_up"), (1, 0), False),
        # Nothing was written down of a step, so the attempt ended before it.
        (attempt(1, NOTHING, 1, reason="give_up"), (1,), None),
        (attempt(1, {}), (1,), True),
        (attempt(1, {**NOTHING, "human_completion": {"text": None, "rating": None}}), (1,), True),
        (attempt({"completions": [{"text": "s", "rating": 1.0}], "chosen_completion": 0.0}), (1,), True),
    ],
)
def test_what_an_attempt_came_to(values: dict[str, Any], labels: tuple[int, ...], right: bool | None) -> None:
    found = PRM.solution(Row("here", values))
    assert (found.labels, found.right) == (labels, right)
    assert {e.step.right for e in PRM.to_examples(Row("here", values)) if e.step} == {right}


def test_what_is_published_and_no_solution_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unrated = {"completions": [{"text": "s", "rating": None}], "chosen_completion": 0}
    unusable = [
        ({**STEPWISE, "completions": ["a", " \n"]}, "with an empty step"),
        (shepherd("Q? Step 1: + Step 2: b -"), "with an empty step"),
        (shepherd("Q? Step 1: a + -"), "with an empty step"),
        (shepherd("Q? a +\nb -"), "without 'Step 1:'"),
        ({"input": "Q? Step 1: a ки\nStep 2: b", "label": "Q? Step 1: a +\nStep 2: b"}, "whose last step has no ки"),
        (attempt(1, reason="bad_problem"), "whose problem is broken"),
        (attempt(NOTHING, 1), "without steps"),
        (attempt(), "without steps"),
        (attempt(1, unrated), "with a step that has no rating"),
        (attempt(1, {"completions": []}), "with a step that has no rating"),
    ]
    rows = [STEPWISE, *(values for values, _ in unusable), SHEPHERD]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_task(PrmSteps(str(tmp_path / "steps.jsonl")), "prm_steps")
    assert len(read.examples) == 2 + 3
    assert read.left_out == Counter(reason for _, reason in unusable)
    assert "left out 3 rows with an empty step" in caplog.text
    for values, reason in unusable:
        (tmp_path / "one.jsonl").write_text(json.dumps(values) + "\n")
        with pytest.raises(DataError, match=f"no row is left \\(1 {reason}\\)"):
            read_task(PrmSteps(str(tmp_path / "one.jsonl")), "prm_steps")


def test_examples_of_another_reading_are_others(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text("{}")
    version = PrmSteps(str(tmp_path / "steps.jsonl")).content_version()
    assert version.startswith("sha256:") and version.endswith(" read 2")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({**STEPWISE, "completions": [], "labels": []}, "'completions' holds no steps; drop the row, or give"),
        ({**STEPWISE, "labels": [True]}, "'labels' holds 1 labels for the 2 steps in 'completions'; give one for each"),
        ({**STEPWISE, "labels": None}, "'labels' holds no list of labels for the 2 steps"),
        ({**STEPWISE, "labels": [True, "maybe"]}, "'labels' holds 'maybe'; write true or false"),
        ({**STEPWISE, "labels": [True, None]}, "'labels' holds None; write true or false"),
        ({**STEPWISE, "completions": "one text"}, "'completions' is no list of texts; give the steps"),
        ({**STEPWISE, "prompt": None}, "'prompt' is no text"),
        ({**STEPWISE, "prompt": " "}, "the problem is empty; fill it"),
        ({**SHEPHERD, "input": "no mark at all"}, "'input' holds no steps; drop the row, or put ки behind"),
        ({**SHEPHERD, "label": SHEPHERD["label"][:-1]}, "+ or - for each of its 3 marks, from step 3 on"),
        ({**SHEPHERD, "label": SHEPHERD["input"]}, "+ or - for each of its 3 marks, from step 1 on"),
        ({**SHEPHERD, "label": SHEPHERD["label"] + "\nStep 4: 4 +"}, "each of its 3 marks, from step 4 on; mend it"),
        ({**SHEPHERD, "input": SHEPHERD["input"] + " so"}, "each of its 3 marks, from step 4 on; mend it"),
        (shepherd("Q? a +"), "'input' has no 'Step 1:' to part problem and solution; mend it, or drop"),
        ({**STEPWISE, "completions": ["a", " "]}, "step 2 is empty; fill it, or drop the row"),
        (attempt(1, reason="bad_problem"), "its problem is broken, as finish_reason says; drop"),
        (attempt(1, reason="done"), "finish_reason is 'done'; write solution, found_error, give_up, bad_problem"),
        ({**PRM800K, "question": {"problem": 5}}, "'question.problem' is no text; give"),
        ({**PRM800K, "question": {}}, "'question.problem' is no text; give"),
        *(
            ({**PRM800K, "label": {"steps": steps}}, "'label.steps' is no list of steps, each with its completions")
            for steps in (None, "abc", [1], {"a": 1}, 3)
        ),
        *(
            (attempt({"completions": completions, "chosen_completion": 0}), "step 1 of 'label': completions is no list")
            for completions in (["a"], {"a": 1}, 3)
        ),
        *(
            (
                attempt({"completions": [{"text": "a", "rating": 1}], "chosen_completion": chosen}),
                "chosen_completion is",
            )
            for chosen in (-1, 5, "0", True, [0], 0.5)
        ),
        *(
            (attempt(rating), "step 1 of 'label': a completion has text 's' and rating")
            for rating in ("1", 2, 0.5, [1], True)
        ),
        (attempt({"completions": [{"text": 3, "rating": 1}]}), "a completion has text 3 and rating 1; give a text"),
        (attempt({"human_completion": {"text": 3}}), "step 1 of 'label': human_completion holds no text; mend it"),
        (attempt({"human_completion": 3}), "step 1 of 'label': human_completion holds no text; mend it"),
        ({**PRM800K, "label": {"steps": []}}, "'label.steps' holds no steps"),
        ({**PRM800K, "label": {"steps": [{"completions": []}]}}, "step 1 of 'label' has no completion with a rating"),
        ({"text": "a", "label": 1}, "the columns text, label are those of no known form; give prompt, completions"),
    ],
)
def test_bad_rows(values: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as raised:
        PRM.to_example(Row("file.jsonl:7", values))
    assert str(raised.value).startswith("file.jsonl:7: ") and words in str(raised.value)


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    rows = [STEPWISE, {**STEPWISE, "labels": [True]}, {**STEPWISE, "completions": []}]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"2 rows cannot be used(?s:.*)jsonl:2: (?s:.*)jsonl:3: "):
        read_task(PrmSteps(str(tmp_path / "steps.jsonl")), "prm_steps")


def mistakes(count: int, kind: str = "word_sorting") -> list[Example]:
    """Solutions of which every third has the right answer."""
    task = BigBenchMistake("unused")
    rows = [
        {
            **task.example_row,
            "task": kind,
            "prompt": f"{kind} {number}",
            "answer": "20" if number % 3 == 0 else "21",
            "first_mistake": None if number % 3 == 0 else number % 2,
        }
        for number in range(count)
    ]
    return task.regroup([example for row in rows for example in task.to_examples(Row("here", row))])


def test_the_place_of_the_first_mistake() -> None:
    task = BigBenchMistake("unused")
    assert task.solution(Row("here", task.example_row)).labels == (1, 0, 0)
    for place, wrong in ((3, True), (-1, True), ("1", True), (2.0, False)):
        row = Row("here", {**task.example_row, "first_mistake": place})
        if wrong:
            with pytest.raises(DataError, match="here: 'first_mistake' is .* in a solution of 3 steps"):
                task.solution(row)
        else:
            assert task.solution(row).labels == (1, 1, 0)
    assert not task.solution(Row("here", {**task.example_row, "answer": None})).right
    with pytest.raises(OptionError, match="kinds holds 'word_sort'; did you mean 'word_sorting'"):
        BigBenchMistake("unused", kinds=["word_sort"])
    with pytest.raises(OptionError, match="kinds is empty; name some of dyck_languages, logical_deduction"):
        BigBenchMistake("unused", kinds=[])


def test_contests_hold_one_right_solution_and_wrong_ones_of_its_kind() -> None:
    examples = [*mistakes(20), *mistakes(9, "dyck_languages")]
    groups = defaultdict[str, dict[str, bool]](dict)
    for example in examples:
        assert example.step is not None
        groups[example.group][example.step.solution] = bool(example.step.right)
    assert len(groups) == 7 + 3
    assert all(sum(solutions.values()) == 1 and len(solutions) in (2, 3) for solutions in groups.values())
    assert all(len({name.split("-")[0] for name in solutions}) == 1 for solutions in groups.values())
    # The order of the rows is of no account.
    backwards = [replace(example, group=example.id.split("-")[0]) for example in examples[::-1]]
    again = BigBenchMistake("unused").regroup(backwards)
    assert {example.id: example.group for example in again} == {example.id: example.group for example in examples}


def test_kinds_need_their_column(tmp_path: Path) -> None:
    row = {name: value for name, value in BigBenchMistake.example_row.items() if name != "task"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="rows.jsonl.*task"):
        read_task(BigBenchMistake(str(tmp_path / "rows.jsonl"), kinds=["word_sorting"]), "big_bench_mistake")


def test_kinds_that_no_row_has_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(dict(BigBenchMistake.example_row)) + "\n", encoding="utf-8")
    words = "rows.jsonl: no row is of the kinds dyck_languages; those that it holds are multistep_arithmetic"
    with pytest.raises(DataError, match=words):
        read_task(BigBenchMistake(str(tmp_path / "rows.jsonl"), kinds=["dyck_languages"]), "big_bench_mistake")


def test_real_mistakes(shared_data: Path) -> None:
    task = BigBenchMistake(str(shared_data / "process" / "big_bench_mistake.jsonl.gz"))
    examples = read_task(task, "big_bench_mistake").examples
    assert len(examples) == 33306 and len({e.step.solution for e in examples if e.step}) == 2186
    # What docs/process.md says: a right answer in spite of a mistake, another answer without one.
    ends = Counter((e.gold, e.step.right) for e in examples if e.step and e.step.last)
    assert (ends[0, True], ends[1, False]) == (214, 30)
    one_kind = BigBenchMistake(task.path, kinds=["multistep_arithmetic"])
    few = read_task(one_kind, "big_bench_mistake").examples
    assert len({e.step.solution for e in few if e.step}) == 300


def best(world: World, problem: str) -> str:
    """The answer to a problem, from the ranks of the world."""
    words = problem.split()
    direction, _, attribute = words[2].partition("_")
    ranks_E = world.ranks_AE[("size", "age").index(attribute)]
    entities = [int(word[1:]) for word in words if word[0] == "E"]
    return f"E{(max if direction == 'up' else min)(entities, key=lambda entity: int(ranks_E[entity]))}"


def test_derivations_are_right_where_they_say_so() -> None:
    task = WorldChains(n_entities=12, n_steps=5, n_problems=40)
    world, rows = World(0, 12, 2), list(task.rows())
    assert len(rows) == 160
    places = set()
    for row in rows:
        values = row.values
        held = values["steps"][0].split()[0]
        for number, step in enumerate(values["steps"]):
            first, _, second, _, named = step.split()
            # Each step goes on from what the one before has named.
            assert first == held
            relation = values["problem"].split()[2]
            fair = best(world, f"which is {relation} : {first} , {second} ?")
            assert (named == fair) == (number != values["mistake"])
            held = named
        assert (held == best(world, values["problem"])) == (values["mistake"] is None)
        places.add(values["mistake"])
    assert places == {None, 0, 1, 2, 3, 4}
    assert [row.values["mistake"] is None for row in rows] == [True, False, False, False] * 40
    assert rows[:8] == list(WorldChains(n_entities=12, n_steps=5, n_problems=2).rows())
    with pytest.raises(OptionError, match=r"n_steps is 12;(?s:.*)n_solutions is 1;"):
        WorldChains(n_entities=12, n_steps=12, n_solutions=1)


def test_splits_hold_whole_problems() -> None:
    examples = read_task(WorldChains(n_entities=12, n_problems=120), "world_chains").examples
    splits = split_examples(examples, SplitSizes(n_train=700, n_validation=50, n_test=300), "world_chains")
    for name, part in splits.parts.items():
        wanted = {"weak": 350, "relabel": 350, "validation": 50, "test": 300}[name]
        # Four solutions of four steps are sixteen examples.
        assert wanted <= len(part) < wanted + 16 and len(part) % 16 == 0
        assert [e.group for e in part] == [g for g in dict.fromkeys(e.group for e in part) for _ in range(16)]
        assert [e.step.number for e in part if e.step] == [0, 1, 2, 3] * (len(part) // 4)
