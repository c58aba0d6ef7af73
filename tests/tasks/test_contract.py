"""What every task must do, checked for each file in `w2s_rm/tasks`."""

import dataclasses
import json
import subprocess
import sys

import pytest

from w2s_rm import catalog
from w2s_rm.data.examples import hash_order
from w2s_rm.errors import DataError
from w2s_rm.settings import SETTINGS
from w2s_rm.types import Row

NAMES = catalog.names("tasks")
# Where a column may be missing, and the row then means something else.
OPTIONAL = {"boolq": {"passage"}}
# Neither has a label column: the order of columns says which is right.
UNLABELLED = {"sciq", "sciq_with_support", "ethics_utilitarianism", "anthropic_hh_pointwise"}
LABEL_COLUMNS = {"boolq": "answer", "dream": "answer", "quail": "correct_answer_id"} | dict.fromkeys(
    ("arc_easy", "openbookqa", "quartz"), "answerKey"
)
LABELS = [False, True, *range(5), *"01234ABCDE", "On the table.", "On the shelf.", "In the hive."]


def field_names(name):
    return {field.name for field in dataclasses.fields(catalog.lookup("tasks", name))}


CHOICES = [name for name in NAMES if "form" in field_names(name) and catalog.lookup("tasks", name).setting != "chess"]
CLASSIFIERS = [name for name in NAMES if catalog.lookup("tasks", name).setting == "classification"]
LABELLED = [
    name for name in CLASSIFIERS if name not in CHOICES and name not in UNLABELLED and "path" in field_names(name)
]
VARIANTS = [(name, None) for name in NAMES] + [(name, form) for name in CHOICES for form in ("binary", "choice")]


def build(name, form=None):
    """A task with a placeholder for each option without a default: `to_example` needs no data."""
    task_class = catalog.lookup("tasks", name)
    required = [field for field in dataclasses.fields(task_class) if field.default is field.default_factory]
    assert {field.type for field in required} <= {"str"}
    options = {} if form is None else {"form": form}
    return task_class(**{field.name: "example.jsonl" for field in required}, **options)


def words(text):
    return text if isinstance(text, str) else "\n".join(message["content"] for message in text)


def identity(example):
    return [example.id, example.group, *example.candidate_ids]


def relabelled(task, column):
    """The examples that a row gives with each label that the task takes."""
    found = []
    for value in LABELS:
        try:
            found.append(task.to_example(Row("example", {**task.example_row, column: value})))
        except DataError:
            continue
    return found


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join(filter(None, variant)))
def task(request):
    return build(*request.param)


@pytest.fixture
def example(task):
    return task.to_example(Row("example", task.example_row))


@pytest.fixture(scope="module")
def elsewhere():
    """What another process, with another hash seed, makes of the example rows."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import test_contract as t; from w2s_rm.types import Row\n"
        "tasks = {json.dumps(v): t.build(*v) for v in t.VARIANTS}\n"
        "print(json.dumps({k: t.identity(x.to_example(Row('example', x.example_row))) for k, x in tasks.items()}))"
    )
    folder = __file__.rsplit("/", 1)[0]
    command = [sys.executable, "-c", code, folder]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_tasks():
    assert {"anthropic_hh", "preference", "text_classification", "multiple_choice", "boolq"} <= set(NAMES)
    assert len(CLASSIFIERS) >= 28 and len(CHOICES) >= 12


def test_is_a_frozen_dataclass_with_a_known_setting(task):
    field = dataclasses.fields(task)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(task, field, "other")
    assert task.setting in set(SETTINGS)


def test_options_are_documented_and_survive_json(task):
    options = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    assert json.loads(json.dumps(options)) == options
    # An option that several tasks have is documented where it is defined.
    documents = "\n".join(base.__doc__ or "" for base in type(task).__mro__)
    assert [name for name in options if f"{name} (" not in documents] == []


def test_example_is_complete(example):
    assert len(example.candidates) >= 2
    assert len(set(example.candidate_ids)) == len(example.candidates)
    assert all(words(candidate).strip() for candidate in example.candidates)
    assert example.gold is None or 0 <= example.gold < len(example.candidates)
    assert isinstance(example.id, str) and example.id and isinstance(example.group, str) and example.group


def test_candidates_are_as_declared(task, example):
    assert task.classes is None or example.candidates == task.classes
    assert not task.balanced or task.classes is not None
    if task.setting == "classification":
        # Prompt and candidate are joined as they are.
        assert all(candidate == " " + candidate.strip() for candidate in example.candidates)
        assert example.prompt == example.prompt.strip()


def test_example_is_pure(task, example):
    assert task.to_example(Row("elsewhere", dict(task.example_row))) == example


def test_ids_are_the_same_in_another_process(request, elsewhere, example):
    variant = json.dumps(request.node.callspec.params["task"])
    assert elsewhere[variant] == identity(example)


def test_prompt_does_not_hold_the_gold_answer_alone(task, example):
    if task.classes is not None:
        pytest.skip("whether the prompt depends on the class is tested by exchanging labels")
    # A prompt may name all the options (a question with choices), never just the right one.
    inside = [words(candidate).strip() in words(example.prompt) for candidate in example.candidates]
    assert example.gold is None or not inside[example.gold] or all(inside)


@pytest.mark.parametrize("name", LABELLED)
def test_another_label_changes_nothing_but_gold(name):
    task = build(name)
    found = relabelled(task, LABEL_COLUMNS.get(name, "label"))
    assert {example.gold for example in found} == set(range(len(task.classes)))
    assert len({(example.prompt, *identity(example)) for example in found}) == 1


@pytest.mark.parametrize("name", [name for name in CHOICES if name not in UNLABELLED])
def test_another_right_answer_changes_nothing_but_gold(name):
    found = relabelled(build(name, "choice"), LABEL_COLUMNS.get(name, "label"))
    assert {example.gold for example in found} == set(range(len(found[0].candidates)))
    assert len({(example.prompt, *identity(example)) for example in found}) == 1


@pytest.mark.parametrize("name", [*CHOICES, "ethics_utilitarianism", "anthropic_hh_pointwise"])
def test_what_is_shown_is_right_half_of_the_time(name):
    task = build(name, "binary" if name in CHOICES else None)
    column = next(column for column, value in task.example_row.items() if isinstance(value, str))
    rows = ({**task.example_row, column: f"{task.example_row[column]} {number}"} for number in range(400))
    examples = [task.to_example(Row("example", row)) for row in rows]
    # 400 coin tosses: four standard errors are 0.1.
    assert 160 <= sum(example.gold for example in examples) <= 240


def test_hash_order_keeps_the_gold_answer(example):
    ordered = hash_order(example)
    assert sorted(ordered.candidate_ids) == sorted(example.candidate_ids)
    if example.gold is not None:
        assert ordered.candidates[ordered.gold] == example.candidates[example.gold]


def test_a_missing_column_is_named_with_its_place(request, task):
    if "path" not in {field.name for field in dataclasses.fields(task)}:
        pytest.skip("generates its own rows")
    optional = OPTIONAL.get(request.node.callspec.params["task"][0], set())
    for column in task.example_row:
        values = {name: value for name, value in task.example_row.items() if name != column}
        if column in optional:
            assert task.to_example(Row("pairs.jsonl:3", values)).prompt
            continue
        with pytest.raises(DataError, match=f"^pairs.jsonl:3: no column '{column}'"):
            task.to_example(Row("pairs.jsonl:3", values))


@pytest.mark.parametrize("name", [name for name in (*LABELLED, *CHOICES) if name not in UNLABELLED])
def test_a_missing_or_unknown_label_is_an_error_that_names_the_row(name):
    task, column = build(name), LABEL_COLUMNS.get(name, "label")
    for value in (None, "", float("nan"), -1, 99, "perhaps"):
        with pytest.raises(DataError, match=f"^rows.csv:7: .*'{column}'"):
            task.to_example(Row("rows.csv:7", {**task.example_row, column: value}))


@pytest.mark.parametrize("name", sorted({*LABELLED, *UNLABELLED, *CHOICES}))
def test_empty_text_is_an_error_that_names_the_row(name):
    task = build(name)
    free = {("amazon_polarity", "title"), *((name, column) for column in [LABEL_COLUMNS.get(name, "label")])}
    texts = [column for column, value in task.example_row.items() if isinstance(value, str)]
    for column in texts:
        if (name, column) in free:
            continue
        with pytest.raises(DataError, match="^rows.csv:7: .*(empty)"):
            task.to_example(Row("rows.csv:7", {**task.example_row, column: "  "}))


@pytest.mark.parametrize("name", sorted({*LABELLED, *UNLABELLED, *CHOICES}))
@pytest.mark.parametrize("blank", ["", " \n", None, float("nan")], ids=["empty", "white", "null", "nan"])
def test_rows_with_blank_text_are_left_out_of_published_datasets_alone(name, blank):
    task = build(name)
    own = name in ("text_classification", "multiple_choice")
    free = {("amazon_polarity", "title"), (name, LABEL_COLUMNS.get(name, "label"))}
    assert task.left_out(Row("rows.csv:7", dict(task.example_row))) is None
    for column, value in task.example_row.items():
        if isinstance(value, str) and (name, column) not in free:
            row = Row("rows.csv:7", {**task.example_row, column: blank})
            reason = task.left_out(row)
            assert reason is None if own else "blank" in reason or "empty answer" in reason
            with pytest.raises(DataError, match="^rows.csv:7: .*empty"):
                task.to_example(row)


def test_importing_tasks_loads_no_torch():
    code = "import sys, w2s_rm.catalog as c; [c.lookup('tasks', n) for n in c.names('tasks')]\n"
    code += "print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
