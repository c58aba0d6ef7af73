"""The whole check of a task and of a recipe, from files."""

import json

import pytest
import yaml

from w2s_rm.checks import Thresholds
from w2s_rm.checks.table import check_text
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.experiment.check import check_subject
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import alike_lines, run_plan
from w2s_rm.experiment.truncation import rendering_problems
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.stages import Examples, Features, Model
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.types import Example


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path):
    """60 short pairs and 20 whose prompt is too long for 16 tokens; one row twice, one contradicted."""
    rows = [{"prompt": f"w{n} w1", "chosen": f" w{n} w2 w3", "rejected": f" w{n} w4"} for n in range(60)]
    rows += [{"prompt": f"w{n} " + "w5 " * 20, "chosen": f"w{n} w2 w3", "rejected": f"w{n} w4"} for n in range(20)]
    rows += [rows[0], {"prompt": rows[1]["prompt"], "chosen": rows[1]["rejected"], "rejected": rows[1]["chosen"]}]
    return write(tmp_path / "pairs.jsonl", rows)


@pytest.fixture
def recipe(tmp_path, file, tiny_model):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        (bare / name).write_text("{}", encoding="utf-8")
    content = {
        "name": "small",
        "task": {"name": "preference", "path": str(file)},
        "weak": {"model_name_or_path": tiny_model(), "train": {"max_length": 16}},
        "strong": {"model_name_or_path": tiny_model()},
        "train": {"max_length": 64},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(tmp_path / "recipe.yaml")


def check(subject, *overrides, thresholds=None, tmp_path):
    (report,) = check_subject(subject, overrides, thresholds or Thresholds(), tmp_path / "runs")
    return report


def test_a_task(file, tmp_path):
    report = check("preference", f"path={file}", tmp_path=tmp_path)
    assert (report.subject, report.task, report.n_examples, report.n_groups) == ("preference", "preference", 82, 80)
    assert (report.duplicates, report.contradictions) == (1, 1)
    assert sum(report.result.rows.values()) == 80
    assert report.truncations == ()
    # The chosen answer is one word longer.
    assert report.result.length_only.value > 0.9
    assert report.result.length_only.detail == "longest"


def test_sizes(file, tmp_path):
    report = check("preference", f"path={file}", "n_train=20", "n_test=5", tmp_path=tmp_path)
    assert report.result.rows == {"weak": 10, "relabel": 10, "test": 5}
    with pytest.raises(DataError, match="too few for the splits"):
        check("preference", f"path={file}", "n_train=2000", "n_test=500", tmp_path=tmp_path)


def test_truncation_of_each_model(recipe, tmp_path):
    report = check(recipe, tmp_path=tmp_path)
    weak, strong = report.truncations
    # 20 of the 80 prompts have 21 tokens; candidates have 4 with the one that ends them.
    assert (weak.role, weak.max_length, weak.examples) == ("weak", 16, 80)
    assert (weak.cut_prompts, weak.cut_candidates) == (0.25, 0.0)
    assert (strong.role, strong.max_length, strong.cut_prompts) == ("strong", 64, 0.0)
    assert report.warnings[-1] == f"weak {weak.model} cuts 25.0 % of the prompts at max_length 16: raise it"
    assert not (tmp_path / "runs").exists(), "a check leaves nothing behind"
    lenient = check(recipe, thresholds=Thresholds(truncation=0.25), tmp_path=tmp_path)
    assert len(lenient.warnings) == len(report.warnings) - 1


def test_candidates_that_become_the_same_tokens(recipe, tmp_path):
    start = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18"
    rows = [{"prompt": f"w{n}", "chosen": f" {start} w19", "rejected": f" {start} w20"} for n in range(40)]
    rows += [{"prompt": f"w{n} w2", "chosen": " w19", "rejected": " w20"} for n in range(40)]
    file = write(tmp_path / "long.jsonl", rows)
    report = check(recipe, f"task.path={file}", tmp_path=tmp_path)
    assert [(one.role, one.alike, one.examples) for one in report.truncations] == [("weak", 40, 80), ("strong", 0, 80)]
    (warning,) = [text for text in report.warnings if "same tokens" in text]
    assert "reads candidates of 40 of 80 examples as the same tokens at max_length 16" in warning
    (header, weak, _) = check_text(report).split("\n\n")[3].splitlines()
    assert header.split()[-1] == "alike" and weak.split()[-1] == "40"


def evaluation(runs, options):
    return Evaluate(runs=runs, examples=Examples("e", "e"), model_name_or_path=Model("m", "m"), options=options)


def test_a_run_says_what_is_alike(tmp_path):
    stage = evaluation(tmp_path, {"max_length": 16})
    folder = StageFolder(stage.folder)
    with lock(stage.folder):
        folder.finish(stage="evaluate", counts={"examples": 8, "candidates_alike": 3}, config={})
    assert alike_lines(stage) == [
        "  ! 3 of 8 examples have candidates of the same tokens at max_length 16: they are ties"
    ]
    other = evaluation(tmp_path, {})
    with lock(other.folder):
        StageFolder(other.folder).finish(stage="evaluate", counts={"examples": 8, "candidates_alike": 0}, config={})
    assert alike_lines(other) == []
    # Counted by the stage that read them, of the whole split: 30 of 8 examples.
    read = Features("f", "f")
    by_features = Evaluate(runs=tmp_path, examples=Examples("e", "e"), features=read)
    with lock(by_features.folder):
        StageFolder(by_features.folder).finish(
            stage="evaluate", counts={"examples": 8, "candidates_alike": 30}, config={}
        )
    assert not by_features.loads_model and alike_lines(by_features) == []


def test_a_method_with_a_max_length_of_its_own(recipe, tmp_path):
    methods = "methods={a: {loss: cross_entropy}, b: {loss: cross_entropy, train: {max_length: 16}}}"
    found = check(recipe, methods, tmp_path=tmp_path).truncations
    assert [(one.role, one.max_length) for one in found] == [("weak", 16), ("strong", 64), ("strong", 16)]


def test_models_that_are_not_here(recipe, tmp_path):
    report = check(
        recipe, f"strong.model_name_or_path={tmp_path / 'bare'}", "weak.model_name_or_path=no/such", tmp_path=tmp_path
    )
    weak, strong = report.truncations
    assert weak.skipped == "its tokenizer is not on this machine; a run downloads it"
    assert strong.skipped == f"no tokenizer in {(tmp_path / 'bare').resolve()}"
    assert "a run downloads it" in check_text(report)


def test_a_recipe_with_mistakes(recipe, tmp_path):
    with pytest.raises(ConfigError, match="unknown key"):
        check(recipe, "stong=1", tmp_path=tmp_path)


def test_a_file_that_names_recipes(recipe, tmp_path):
    other = yaml.safe_load((tmp_path / "recipe.yaml").read_text(encoding="utf-8")) | {"name": "other"}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    (tmp_path / "both.yaml").write_text("name: both\nrecipes: [recipe.yaml, other.yaml]\n", encoding="utf-8")
    reports = check_subject(str(tmp_path / "both.yaml"), ["task.n_test=4"], Thresholds(), tmp_path / "runs")
    assert [(report.subject, report.result.rows["test"]) for report in reports] == [("small", 4), ("other", 4)]


def test_classes_are_balanced_as_prepare_does_it(tmp_path):
    rows = [{"question": f"q{n}", "passage": f"text {n}", "answer": n % 3 > 0} for n in range(90)]
    file = write(tmp_path / "boolq.jsonl", rows)
    report = check("boolq", f"path={file}", tmp_path=tmp_path)
    assert {split: set(shares.values()) for split, shares in report.result.balance.items()} == {
        split: {0.5} for split in ("weak", "relabel", "test")
    }
    unbalanced = check("boolq", f"path={file}", "balance=false", tmp_path=tmp_path)
    assert unbalanced.result.balance["weak"][" yes"] > 0.5
    assert sum(unbalanced.result.rows.values()) == 90


def test_without_ground_truth(tmp_path):
    rows = [{"prompt": f"question {n}", "a": f"one {n}", "b": f"two {n}"} for n in range(40)]
    file = write(tmp_path / "pairs.jsonl", rows)
    columns = ["response_a_column=a", "response_b_column=b"]
    report = check("preference", f"path={file}", *columns, tmp_path=tmp_path)
    text = check_text(report)
    assert "not measured: no ground truth in test" in text
    assert "bag of words" not in text
    assert text.endswith("verdict: ok")


def test_text(recipe, tmp_path):
    report = check(recipe, tmp_path=tmp_path)
    lines = check_text(report).splitlines()
    assert lines[0] == "small (task preference): 82 rows in 80 groups, the largest of 2, 1 duplicates, 1 contradictions"
    assert lines[2].split() == ["split", "rows", "groups", "without", "gold", "seen", "before", "to", "the", "letter"]
    # Columns are aligned: numbers end where their header ends.
    end = lines[2].index("rows") + len("rows")
    assert all(line[end - 1].isdigit() and line[end] == " " for line in lines[3:6])
    (chance,) = [line for line in lines if line.startswith("  chance")]
    assert chance.split() == ["chance", "50.0", "%"]
    verdict = next(number for number, line in enumerate(lines) if line.startswith("verdict: "))
    assert lines[verdict] == f"verdict: {len(report.warnings)} warnings"
    assert [line[2:] for line in lines[verdict + 1 :]] == list(report.warnings)


def test_json(recipe, tmp_path):
    record = json.loads(json.dumps(check(recipe, tmp_path=tmp_path).record(), allow_nan=False))
    assert record["ok"] is False and record["duplicates"] == 1
    assert record["truncations"][0]["cut_prompts"] == 0.25
    assert set(record["length_only"]) == {"value", "low", "high", "detail"}
    assert record["rows"]["test"] + record["rows"]["weak"] + record["rows"]["relabel"] == 80


def test_a_tokenizer_that_is_not_here_yet_is_named(tmp_path, tiny_model, caplog):
    rows = [
        {
            "prompt": [{"role": "user", "content": f"w{n % 40} w{n // 40}"}],
            **{name: [{"role": "assistant", "content": text}] for name, text in (("chosen", "w3"), ("rejected", "w4"))},
        }
        for n in range(60)
    ]
    (tmp_path / "chat.jinja").write_text(TEMPLATE, encoding="utf-8")
    content = {
        "name": "spoken",
        "task": {"name": "preference", "path": str(write(tmp_path / "spoken.jsonl", rows)), "n_train": 20, "n_test": 5},
        "weak": {"model_name_or_path": tiny_model()},
        "strong": {"pretrain": {"hidden_size": 16}},
        "train": {"max_length": 64, "bf16": False, "chat_template_path": str(tmp_path / "chat.jinja")},
    }
    (tmp_path / "spoken.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_recipe(tmp_path / "spoken.yaml"), tmp_path / "runs")
    task = plan.recipe.task()
    assert rendering_problems(plan, [task.to_example(row) for row in task.rows()]) == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("strong: ") and "not pretrained yet" in said


def test_a_further_task_must_be_written_by_a_head_that_writes(tmp_path, tiny_model):
    """Words that the models' tokenizer does not know are refused before anything is trained, not when it is scored."""

    def questions(name, answer):
        rows = [{"question": f"w{n % 40} w{n // 40}", "choices": ["w3", answer], "label": n % 2} for n in range(60)]
        return {"name": "multiple_choice", "path": str(write(tmp_path / name, rows)), "n_test": 5}

    content = {
        "name": "written",
        "task": {**questions("own.jsonl", "w4"), "n_train": 20},
        "also_evaluate": [{**questions("far.jsonl", "elsewhere"), "as": "far"}],
        "head": "lm",
        **{part: {"model_name_or_path": tiny_model()} for part in ("weak", "strong")},
        "train": {"max_length": 64, "bf16": False},
    }
    (tmp_path / "written.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_recipe(tmp_path / "written.yaml"), tmp_path / "runs")
    own, far = (task.task() for task in (plan.recipe, plan.recipe.also_evaluate[0]))
    assert rendering_problems(plan, [own.to_example(row) for row in own.rows()]) == []
    problems = rendering_problems(plan, [far.to_example(row) for row in far.rows()])
    assert [problem.partition(":")[0] for problem in problems] == ["weak", "strong"]
    assert "has words that are not in the vocabulary" in problems[0]


def test_the_policys_template_must_fit_the_prompts(tmp_path, tiny_model):
    content = {
        "name": "policies",
        "task": {"name": "world_preference", "n_train": 200, "n_validation": 40, "n_test": 60},
        "weak": {"pretrain": {"hidden_size": 16}},
        "strong": {"pretrain": {"hidden_size": 32}},
        "policy": {"model_name_or_path": tiny_model(), "max_completion_length": 2, "methods": {"dpo": {}}},
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_recipe(tmp_path / "policy.yaml"), tmp_path / "runs")
    answers = tuple(({"role": "assistant", "content": text},) for text in ("w3", "w4"))
    spoken = Example("x", "x", ({"role": "user", "content": "w2"},), answers, 0)
    (problem,) = rendering_problems(plan, [spoken])
    assert problem.startswith("policy: ") and "no chat template" in problem


SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"


def test_a_template_that_does_not_fit_is_found_before_anything_trains(tmp_path, tiny_model):
    """The strong model's template refuses; the weak model, which comes first, is not trained."""
    start = [{"role": "system", "content": "w1"}, {"role": "user", "content": "w2"}]
    turns = {name: [{"role": "assistant", "content": text}] for name, text in (("chosen", "w3"), ("rejected", "w4"))}
    rows = [{"prompt": [*start[:1], {"role": "user", "content": f"w{n % 40} w{n // 40}"}], **turns} for n in range(60)]
    templates = {"weak": TEMPLATE, "strong": SYSTEM + TEMPLATE}
    for role, text in templates.items():
        (tmp_path / f"{role}.jinja").write_text(text, encoding="utf-8")
    model = {
        role: {
            "model_name_or_path": tiny_model(),
            "train": {"chat_template_path": str(tmp_path / f"{role}.jinja")},
        }
        for role in templates
    }
    content = {
        "name": "spoken",
        "task": {"name": "preference", "path": str(write(tmp_path / "spoken.jsonl", rows)), "n_train": 20, "n_test": 5},
        **model,
        "train": {"max_length": 64, "bf16": False},
    }
    (tmp_path / "spoken.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_recipe(tmp_path / "spoken.yaml"), tmp_path / "runs")
    with pytest.raises(ConfigError, match="strong: .*(\n.*)*System role not supported"):
        run_plan(plan, lambda line: None)
    assert [path.name.split("-")[0] for path in (tmp_path / "runs" / "stages").iterdir()] == ["prepare"]
    with pytest.raises(DataError, match="System role not supported"):
        check(str(tmp_path / "spoken.yaml"), tmp_path=tmp_path)
