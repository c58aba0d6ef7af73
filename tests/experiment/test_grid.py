"""A grid is one file and many recipes: what it expands to, what it shares, and what it refuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm.cli import main
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.grid import triangle
from w2s_rm.experiment.jobs import Job, Schedule, count_kinds, unite
from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.suite import load_suite, load_suites
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages import Stage

METHODS = ("naive", "logconf", "entropy")
LOSSES = {"naive": "cross_entropy", "logconf": "log_confidence", "entropy": "entropy"}


def model(width: int) -> dict[str, Any]:
    return {"pretrain": {"corpus": {"name": "facts", "n_entities": 12}, "hidden_size": width, "steps": 8}}


def grid(n_sizes: int, **changes: Any) -> dict[str, Any]:
    """A grid over models of growing width."""
    content = {
        "name": "grid",
        "task": {"name": "world_preference", "n_entities": 12, "n_train": 80, "n_test": 40},
        "models": {f"m{size}": model(8 * size) for size in range(1, n_sizes + 1)},
        "methods": {"naive": {"loss": {"name": "cross_entropy"}}},
        "train": {"max_length": 32, "learning_rate": 1e-3},
        "seeds": [0],
    }
    return {**content, **changes}


def write(folder: Path, content: dict[str, Any], name: str = "grid.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def plans_of(folder: Path, content: dict[str, Any]) -> list[Plan]:
    return [make_plan(recipe, folder / "runs") for recipe in load_suite(write(folder, content)).recipes]


def kind(stage: Stage) -> str:
    """What a stage is; of trainings what they are trained on."""
    return stage.noun


def kinds(jobs: list[Job]) -> Counter[str]:
    return Counter(kind(job.stage) for job in jobs)


def mistakes(folder: Path, content: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_suite(write(folder, content), overrides)
    return str(caught.value)


def test_a_recipe_for_each_pair_as_if_it_stood_alone(tmp_path: Path) -> None:
    content = grid(3, seeds=[3, 4], ceiling_split="weak", head="reward")
    suite = load_suite(write(tmp_path, content))
    assert suite.name == "grid" and suite.joint
    pairs = [("m1", "m1"), ("m1", "m2"), ("m1", "m3"), ("m2", "m2"), ("m2", "m3"), ("m3", "m3")]
    assert triangle(["m1", "m2", "m3"]) == pairs
    assert [recipe.name for recipe in suite.recipes] == [f"grid_{weak}_{strong}" for weak, strong in pairs]
    for recipe, (weak, strong) in zip(suite.recipes, pairs, strict=True):
        assert recipe.content["weak"] == content["models"][weak] and recipe.seeds == (3, 4)
        assert recipe.content["strong"] == content["models"][strong] and "models" not in recipe.content
        # What a run leaves as recipe.yaml is that recipe, whole.
        alone = load_recipe(write(tmp_path, dict(recipe.content), "alone.yaml"))
        assert alone == recipe and alone.ceiling_split == "weak" and alone.head == "reward"


def test_a_list_of_pairs_and_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, grid(3, pairs=[["m1", "m3"], ["m3", "m2"]]))
    assert [recipe.name for recipe in load_suite(path).recipes] == ["grid_m1_m3", "grid_m3_m2"]
    suite = load_suite(path, ["name=other", "pairs=[[m1, m2]]", "models.m2.train.learning_rate=2e-5", "seeds=[7]"])
    (recipe,) = suite.recipes
    assert (suite.name, recipe.name, recipe.seeds) == ("other", "other_m1_m2", (7,))
    assert recipe.strong.train == {"learning_rate": 2e-5} and recipe.weak.train == {}


def test_a_model_that_is_only_weak_may_be_a_file_of_labels(tmp_path: Path) -> None:
    content = grid(2, pairs=[["people", "m1"], ["people", "m2"]])
    content["models"] = {"people": {"labels": "labels.jsonl"}, **content["models"]}
    assert [recipe.weak.labels for recipe in load_suite(write(tmp_path, content)).recipes] == ["labels.jsonl"] * 2
    assert "models.people.labels: unknown key" in mistakes(tmp_path, {**content, "pairs": "triangular"})


@pytest.mark.parametrize("n_sizes", [2, 3, 4, 5])
@pytest.mark.parametrize(("n_methods", "n_seeds"), [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("ceiling_split", ["weak", "relabel"])
def test_n_truths_and_a_triangle_of_students(
    tmp_path: Path, n_sizes: int, n_methods: int, n_seeds: int, ceiling_split: str
) -> None:
    methods = {name: {"loss": {"name": LOSSES[name]}} for name in METHODS[:n_methods]}
    content = grid(n_sizes, methods=methods, seeds=list(range(n_seeds)), ceiling_split=ceiling_split)
    plans = plans_of(tmp_path, content)
    found = kinds(unite(plans))
    truths = found["truth"]
    # On the weak half a size is trained on the truth once; on the relabel half its ceiling is another model.
    assert truths == n_sizes * n_seeds * (1 if ceiling_split == "weak" else 2)
    n_students = n_sizes * (n_sizes + 1) // 2 * n_methods * n_seeds
    assert found["student"] == n_students
    assert found["relabel"] == n_sizes * n_seeds
    assert found["pretrain"] == n_sizes and found["prepare"] == 1
    assert found["evaluate"] == n_students + truths
    assert len(plans) == n_sizes * (n_sizes + 1) // 2
    for plan in plans:
        # Each report finds its three models for each seed.
        of = Counter(stage.of for stage in plan.stages if stage.kind == "evaluate")
        assert of == {"weak": n_seeds, "ceiling": n_seeds, "student": n_seeds * n_methods}


def test_without_the_diagonal_the_largest_is_a_ceiling_only(tmp_path: Path) -> None:
    content = grid(3, pairs=[["m1", "m2"], ["m1", "m3"], ["m2", "m3"]], ceiling_split="weak")
    found = kinds(unite(plans_of(tmp_path, content)))
    assert (found["truth"], found["relabel"], found["student"]) == (3, 2, 3)


def test_the_ceiling_on_the_weak_half_is_that_weak_model(tmp_path: Path) -> None:
    content = grid(2, ceiling_split="weak")
    diagonal, pair, last = plans_of(tmp_path, content)
    folders = {stage.of: stage.folder for stage in pair.stages if stage.trains}
    ceiling, weak = folders["ceiling"], folders["weak"]
    assert ceiling != weak
    assert ceiling in [stage.folder for stage in last.stages if stage.trains and stage.of == "weak"]
    assert [stage.title for stage in pair.stages if stage.folder == ceiling] == ["ceiling seed 0"]
    evaluated = [stage.folder for stage in diagonal.stages if stage.judges and stage.of in ("weak", "ceiling")]
    assert len(evaluated) == 2 and len(set(evaluated)) == 1
    # By default it trains on the student's own examples, so that only the labels differ.
    both = plans_of(tmp_path, grid(2))[1]
    files = {str(stage.of): Path(stage.config()["examples"]).stem for stage in both.stages if stage.trains}
    assert (files["weak"], files["student"], files["ceiling"]) == ("weak", "relabel", "relabel")
    assert {stage.folder for stage in both.stages if kind(stage) == "student"} == {
        stage.folder for stage in pair.stages if kind(stage) == "student"
    }


def test_gpus_say_how_a_stage_is_run_and_not_what_it_computes(tmp_path: Path) -> None:
    content = grid(2)
    before = [stage.folder for stage in plans_of(tmp_path, content)[1].stages]
    content["models"]["m2"]["gpus"] = 0.5
    stages = plans_of(tmp_path, content)[1].stages
    assert [stage.folder for stage in stages] == before
    assert {stage.of or stage.kind: stage.launch.gpus for stage in stages if not stage.judges} == {
        "prepare": None, "pretrain": 0.5, "weak": None, "labels": None, "student": 0.5, "ceiling": 0.5,
    }  # fmt: skip
    for wrong in (-1, 1.5, "one", True, float("inf")):
        content["models"]["m2"]["gpus"] = wrong
        assert "models.m2.gpus: " in mistakes(tmp_path, content)


def test_all_mistakes_at_once_each_with_its_line(tmp_path: Path) -> None:
    content = grid(3, seedz=[0], weak={}, ceiling_split="strong", head="rewards", methods={"a": {"loss": "entropie"}})
    content["models"]["m1"]["trian"] = {}
    content["models"]["m2"]["pretrain"]["hidden_sise"] = 8
    content["models"]["m3"] = {}
    message = mistakes(tmp_path, content)
    lines = (tmp_path / "grid.yaml").read_text(encoding="utf-8").splitlines()
    line = {key: 1 + next(n for n, text in enumerate(lines) if f"{key}:" in text) for key in ("trian", "hidden_sise")}
    for text in (
        "grid.yaml: 8 mistakes:",
        "seedz: unknown key; did you mean 'seeds'?",
        "weak: a grid has models and pairs instead",
        "ceiling_split: 'strong' is no split to train on; known: relabel, weak",
        "head: 'rewards' is no head of setting reward_modeling; did you mean 'reward'?",
        "methods.a.loss.name: no loss 'entropie'; did you mean 'entropy'?",
        f"line {line['trian']}: models.m1.trian: unknown key; did you mean 'train'?",
        f"line {line['hidden_sise']}: models.m2.pretrain.hidden_sise: unknown option of pretrain; did you mean 'hidden",
        "models.m3: give exactly one of",
    ):
        assert message.count(text) == 1, message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"models": {}}, "models: {} is no mapping of names to models"),
        ({"models": None}, "models: None is no mapping of names to models"),
        ({"models": {"a b": model(8)}}, "models.a b: 'a b' is no name"),
        ({"models": {1: model(8)}}, "models.1: 1 is no name"),
        ({"models": {"small": None}}, "models.small: is missing"),
        ({"models": {"a_b": model(8), "a": model(16), "b": model(24)},
          "pairs": [["a_b", "b"], ["a", "b_b"]]}, "no model 'b_b'"),
        ({"models": {name: model(8 * n) for n, name in enumerate(("a", "a_b", "b", "b_b"), start=1)}},
         "two runs of one name (grid_a_b_b)"),
        ({"pairs": "triangle"}, "pairs: 'triangle' is neither triangular nor a list of pairs [weak, strong]; did you"),
        ({"pairs": []}, "pairs: [] is neither triangular nor a list"),
        ({"pairs": [["m1", "m4"]]}, "pairs: no model 'm4'; known: m1, m2"),
        ({"pairs": [["m1"], "m1"]}, "pairs: ['m1'] is no pair [weak, strong]; 'm1' is no pair"),
        ({"pairs": [["m1", "m2"], ["m1", "m2"]]}, "pairs: ['m1', 'm2'] stands twice"),
        ({"name": "a/b"}, "name: 'a/b' cannot name a run"),
        ({"name": "stages"}, "name: 'stages' cannot name a run"),
        ({"task": None}, "task: is missing"),
        ({"recipes": ["a.yaml"]}, "recipes: unknown key"),
    ],
)  # fmt: skip
def test_what_is_no_grid(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    message = mistakes(tmp_path, grid(2, **changes))
    assert text in message and message.count("grid.yaml: 1 mistake:") == 1, message


def test_options_that_do_not_fit_together_are_refused_as_in_a_recipe(tmp_path: Path) -> None:
    """What the validation split is to choose it cannot, without one."""
    said = mistakes(tmp_path, grid(2), "train.evaluations=4", "train.keep=weak_validation")
    assert "keep" in said and "n_validation" in said


def test_a_model_without_a_pair_is_checked_too(tmp_path: Path) -> None:
    content = grid(3)
    content["models"]["m3"]["trian"] = {}
    assert "models.m3.trian: unknown key" in mistakes(tmp_path, content, "pairs=[[m1, m2]]")


def test_plan_prints_each_stage_once_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, grid(3, ceiling_split="weak", seeds=[0, 1]))
    assert main(["plan", str(path), "--runs", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[92] == "1 prepare, 3 pretrain, 6 truths, 6 relabel, 12 students, 18 evaluate"
    assert shown[-1] == f"46 stages, 46 to run; report in {tmp_path / 'runs' / 'grid'}"
    commands = [line for line in shown if line.startswith("     ")]
    assert len(commands) == len(set(commands)) == 46


def test_several_files_are_planned_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = {key: value for key, value in grid(2).items() if key != "models"}
    one = write(tmp_path, {**single, "name": "one", "weak": model(8), "strong": model(16)}, "one.yaml")
    both = write(tmp_path, grid(2), "both.yaml")
    runs = tmp_path / "runs"
    assert main(["plan", str(one), str(both), "seeds=[5]", "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    # The recipe alone is the pair (m1, m2) of the grid.
    assert "1 prepare, 2 pretrain, 4 truths, 2 relabel, 3 students, 7 evaluate" in shown
    assert f"report in {runs / 'grid'}, {runs / 'report'}" in shown and "one: student naive seed 5" in shown
    with pytest.raises(ConfigError, match="'one' names two runs"):
        load_suites([one, one])
    wrong = write(tmp_path, {**grid(2), "seedz": 1}, "wrong.yaml")
    with pytest.raises(ConfigError, match="(?s)wrong.yaml: 1 mistake.*absent.yaml: no such recipe"):
        load_suites([wrong, tmp_path / "absent.yaml"])


def test_every_job_comes_after_what_it_reads(tmp_path: Path) -> None:
    plans = plans_of(tmp_path, grid(3, ceiling_split="weak"))
    jobs = unite(plans)
    seen: set[Path] = set()
    for job in jobs:
        assert job.needs <= seen, job.title
        read = [str(job.stage.config().get(name)) for name in ("examples", "labels", "model_name_or_path")]
        made = {folder for folder in seen for text in read if text.startswith(str(folder))}
        assert made <= job.needs, "what is read is among the inputs"
        seen.add(job.stage.folder)
    assert seen == {stage.folder for plan in plans for stage in plan.stages}
    assert {job.title.split(":")[0] for job in jobs} <= {plan.recipe.name for plan in plans}
    assert count_kinds([job.stage for job in jobs[:1]]) == "1 prepare"


def finished(folder: Path) -> None:
    folder.mkdir(parents=True)
    StageFolder(folder).seal({})


def test_independent_jobs_are_ready_at_once_and_shared_ones_once(tmp_path: Path) -> None:
    jobs = unite(plans_of(tmp_path, grid(3, ceiling_split="weak")))
    schedule, waves = Schedule(jobs), []
    while ready := schedule.take():
        assert schedule.take() == [], "each is handed out once"
        waves.append(kinds(ready))
        for job in ready:
            schedule.finish(job)
    assert waves == [
        {"prepare": 1, "pretrain": 3},
        {"truth": 3},
        {"relabel": 3, "evaluate": 3},
        {"student": 6},
        {"evaluate": 6},
    ]
    assert schedule.stranded == []


def test_a_finished_stage_is_not_handed_out(tmp_path: Path) -> None:
    jobs = unite(plans_of(tmp_path, grid(2)))
    finished(jobs[0].stage.folder)
    assert {job.stage.kind for job in Schedule(jobs).take()} == {"pretrain"}


def test_what_depends_on_a_failure_is_stranded_and_the_rest_goes_on(tmp_path: Path) -> None:
    jobs = unite(plans_of(tmp_path, grid(2, ceiling_split="weak")))
    schedule = Schedule(jobs)
    while ready := schedule.take():
        for job in ready:
            if job.title != "grid_m1_m1: weak seed 0":
                schedule.finish(job)
    assert [job.title for job in schedule.stranded] == [
        "grid_m1_m1: relabel seed 0",
        "grid_m1_m1: evaluate weak seed 0",
        "grid_m1_m1: student naive seed 0",
        "grid_m1_m1: evaluate student naive seed 0",
        "grid_m1_m2: student naive seed 0",
        "grid_m1_m2: evaluate student naive seed 0",
    ]


def test_a_grid_may_state_findings_about_its_pairs(tmp_path: Path) -> None:
    stated = [{"finding": "f", "hypothesis": {"name": "pgr_is_below", "run": "m1_m2", "other": "m1_m3"}}]
    suite = load_suite(write(tmp_path, grid(3, findings=stated)))
    assert suite.asked is not None
    assert suite.asked.runs["m1_m2"] == "grid_m1_m2" and [q.finding for q in suite.asked.questions] == ["f"]
    assert [recipe.name for recipe in suite.recipes] == [f"grid_{pair}" for pair in suite.asked.runs]
    assert load_suite(write(tmp_path, grid(3))).asked is None
    stated[0]["hypothesis"] = {"name": "pgr_is_below", "run": "m1_m2", "other": "m3_m1"}
    with pytest.raises(ConfigError, match=r"findings\.0\.hypothesis: no run 'm3_m1' in this suite"):
        load_suite(write(tmp_path, grid(3, findings=stated)))
