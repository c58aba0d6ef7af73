"""What every task must do, checked for each file in `w2s_rm/tasks`."""

import dataclasses
import json
import subprocess
import sys

import pytest

from w2s_rm import catalog
from w2s_rm.data.examples import hash_order
from w2s_rm.errors import DataError
from w2s_rm.types import Row

NAMES = catalog.names("tasks")


def build(name):
    """A task with a placeholder for each option without a default: `to_example` needs no data."""
    task_class = catalog.lookup("tasks", name)
    required = [field for field in dataclasses.fields(task_class) if field.default is field.default_factory]
    assert {field.type for field in required} <= {"str"}
    return task_class(**{field.name: "example.jsonl" for field in required})


def words(text):
    return text if isinstance(text, str) else "\n".join(message["content"] for message in text)


@pytest.fixture(params=NAMES)
def task(request):
    return build(request.param)


@pytest.fixture
def example(task):
    return task.to_example(Row("example", task.example_row))


def test_there_are_tasks():
    assert {"anthropic_hh", "preference"} <= set(NAMES)


def test_is_a_frozen_dataclass_with_a_known_setting(task):
    field = dataclasses.fields(task)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(task, field, "other")
    # The three families of one encoding each; not every one has its module yet.
    assert task.setting in {"reward_modeling", "classification", "chess"}


def test_options_are_documented_and_survive_json(task):
    options = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    assert json.loads(json.dumps(options)) == options
    assert [name for name in options if f"{name} (" not in type(task).__doc__] == []


def test_example_is_complete(example):
    assert len(example.candidates) >= 2
    assert len(set(example.candidate_ids)) == len(example.candidates)
    assert all(words(candidate).strip() for candidate in example.candidates)
    assert example.gold is None or 0 <= example.gold < len(example.candidates)
    assert isinstance(example.id, str) and example.id and isinstance(example.group, str) and example.group


def test_example_is_pure(task, example):
    assert task.to_example(Row("elsewhere", dict(task.example_row))) == example


def test_ids_are_the_same_in_another_process(request, task, example):
    name = request.node.callspec.params["task"]
    code = (
        "import dataclasses, w2s_rm.catalog as c; from w2s_rm.types import Row\n"
        f"t = c.lookup('tasks', {name!r})\n"
        "need = [f.name for f in dataclasses.fields(t) if f.default is f.default_factory]\n"
        "e = t(**{n: 'example.jsonl' for n in need}).to_example(Row('example', t.example_row))\n"
        "print(e.id, e.group, *e.candidate_ids)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert done.stdout.split() == [*f"{example.id} {example.group}".split(), *example.candidate_ids], done.stderr


def test_prompt_does_not_hold_the_gold_answer_alone(example):
    # A prompt may name all the options (a question with choices), never just the right one.
    inside = [words(candidate).strip() in words(example.prompt) for candidate in example.candidates]
    assert example.gold is None or not inside[example.gold] or all(inside)


def test_hash_order_keeps_the_gold_answer(example):
    ordered = hash_order(example)
    assert sorted(ordered.candidate_ids) == sorted(example.candidate_ids)
    if example.gold is not None:
        assert ordered.candidates[ordered.gold] == example.candidates[example.gold]


def test_a_missing_column_is_named_with_its_place(task):
    if "path" not in {field.name for field in dataclasses.fields(task)}:
        pytest.skip("generates its own rows")
    for column in task.example_row:
        values = {name: value for name, value in task.example_row.items() if name != column}
        with pytest.raises(DataError, match=f"^pairs.jsonl:3: no column '{column}'"):
            task.to_example(Row("pairs.jsonl:3", values))


def test_importing_tasks_loads_no_torch():
    code = "import sys, w2s_rm.catalog as c; [c.lookup('tasks', n) for n in c.names('tasks')]\n"
    code += "print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
