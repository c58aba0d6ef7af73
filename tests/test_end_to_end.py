"""The whole path as a user walks it: `w2s-rm run` on a tiny embedded world.

Runs that are killed at random moments, and then finish as if nothing had happened: `tests/test_faults.py`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_helpers import copy_runs, finish, stage_folders

from w2s_rm.cli import main
from w2s_rm.data.examples import read_examples
from w2s_rm.data.label_files import WeakLabel, read_labels, write_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.programs.labelling import softmax
from w2s_rm.stages.train import Train

pytestmark = pytest.mark.slow

TRAIN: dict[str, Any] = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 40,
    "learning_rate": 1e-3,
    "bf16": False,
    "gradient_checkpointing": False,
    "max_length": 64,
    "save_steps": 5,
}


def recipe(task: dict[str, Any], corpus: dict[str, Any], steps: tuple[int, int]) -> dict[str, Any]:
    """A recipe with two small models that have read a corpus."""
    models = {
        role: {
            "pretrain": {
                "corpus": corpus,
                "hidden_size": width,
                "num_hidden_layers": 2,
                "steps": count,
                "batch_size": 128,
            }
        }
        for role, width, count in (("weak", 32, steps[0]), ("strong", 48, steps[1]))
    }
    methods = {"naive": {"loss": {"name": "cross_entropy"}}}
    return {"name": "tiny", "task": task, **models, "methods": methods, "train": TRAIN, "seeds": [0]}


FACTS: dict[str, Any] = {"name": "facts", "n_entities": 20}
ENDGAMES: dict[str, Any] = {"name": "chess_endgames", "pieces": ["Q", "R"]}
TINY = {
    "reward_modeling": recipe(
        {"name": "world_preference", "n_entities": 20, "n_train": 1000, "n_test": 151}, FACTS, (150, 300)
    ),
    "classification": recipe(
        {"name": "world_classification", "n_entities": 20, "n_train": 200, "n_test": 151}, FACTS, (40, 60)
    ),
    "chess": recipe({"name": "mate_in_one", "pieces": ["Q", "R"], "n_train": 200, "n_test": 101}, ENDGAMES, (30, 60)),
}


@dataclass(frozen=True)
class Bench:
    """A folder with the tiny recipe of a setting; runs go below it, pretrained models are shared."""

    folder: Path
    cache: Path
    setting: str = "reward_modeling"

    def arguments(self, *overrides: str, runs: str = "runs") -> list[str]:
        """The command that runs the recipe."""
        recipe = self.folder / "tiny.yaml"
        recipe.write_text(yaml.safe_dump(TINY[self.setting]), encoding="utf-8")
        return ["run", str(recipe), *overrides, "--runs", str(self.folder / runs)]

    def start(self, *overrides: str, runs: str = "runs") -> subprocess.Popen[str]:
        """Run the recipe in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "w2s_rm.cli", *self.arguments(*overrides, runs=runs)],
            env={**os.environ, "W2S_RM_CACHE": str(self.cache), "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *overrides: str, runs: str = "runs") -> str:
        """Run the recipe in this process, which has imported the libraries already, and return what it printed."""
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
            patch.setenv("W2S_RM_CACHE", str(self.cache))
            code = main(self.arguments(*overrides, runs=runs))
        assert code == 0, printed.getvalue()
        return printed.getvalue()

    def report(self, runs: str = "runs") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads((self.folder / runs / "tiny" / "report.json").read_text())
        return rows

    def stages(self, name: str, runs: str = "runs") -> list[Path]:
        return stage_folders(self.folder / runs, name)

    def evaluation(self, name: str) -> Path:
        """The evaluation of what a stage has trained."""
        (trained,) = self.stages(name)
        (found,) = (path for path in self.stages("evaluate") if trained.name in (path / "config.yaml").read_text())
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with a run that was finished by the command itself."""
    bench = Bench(tmp_path_factory.mktemp("bench"), tmp_path_factory.mktemp("cache"))
    process = bench.start()
    output = finish(process)
    assert process.returncode == 0, output
    return bench


@pytest.fixture(scope="module")
def benches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """A bench for each setting, with a finished run in one process; made when it is first asked for."""
    made: dict[str, Bench] = {}

    def of(setting: str) -> Bench:
        if setting == "reward_modeling":
            return request.getfixturevalue("bench")
        if setting not in made:
            made[setting] = Bench(tmp_path_factory.mktemp(setting), tmp_path_factory.mktemp("cache"), setting)
            made[setting].run()
        return made[setting]

    return of


def report_files(bench: Bench, runs: str) -> dict[str, bytes]:
    folder = bench.folder / runs / "tiny"
    names = ("report.json", "report.md", "report.csv", "report.html")
    return {name: (folder / name).read_bytes() for name in names}


def test_second_run_trains_nothing(bench: Bench) -> None:
    manifests = {path: path.stat().st_mtime_ns for path in bench.folder.glob("runs/stages/*/manifest.json")}
    assert len(manifests) == 8
    before = report_files(bench, "runs")
    output = bench.run()
    assert output.count(": cached") == 10
    assert {path: path.stat().st_mtime_ns for path in bench.folder.glob("runs/stages/*/manifest.json")} == manifests
    assert report_files(bench, "runs") == before


def test_report_counts_what_was_there(bench: Bench) -> None:
    (row,) = bench.report()
    assert row["n_test"] == 151 and row["chance"] == 0.5 and row["seeds"] == [0]
    assert row["counts"]["n_weak"] == 500 and row["counts"]["cut_prompts (test)"] == 0
    # The report rounds accuracies, and a small gap, which depends on the machine, magnifies that: count right answers.
    weak, student, ceiling = (
        round(151 * row[name]) for name in ("weak_accuracy", "student_accuracy", "ceiling_accuracy")
    )
    assert row["pgr"] == pytest.approx((student - weak) / (ceiling - weak), abs=1e-6)


def test_interrupted_stage_goes_on_from_its_checkpoint(bench: Bench, tmp_path: Path) -> None:
    """Cut a finished student back to its checkpoint: the same weights come out, in fewer steps."""
    from safetensors.torch import load_file

    (student,) = bench.stages("student")
    arguments = ["--config", str(student / "config.yaml")]
    command = [sys.executable, "-m", "w2s_rm.stages.train", *arguments]
    # `--max_steps` would change the schedule: stop by killing once the checkpoint is whole.
    process = subprocess.Popen([*command, "--output_dir", str(tmp_path / "again")], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("again/trainer/checkpoint-*/complete")):
        assert process.poll() is None, "finished before its first checkpoint was seen"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "again" / "manifest.json").exists()
    Train.run([*arguments, "--output_dir", str(tmp_path / "again")])
    expected = load_file(student / "model" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "again" / "model" / "model.safetensors").items():
        assert tensor.equal(expected[name]), name
    steps = [json.loads(line)["step"] for line in (tmp_path / "again" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert not list(tmp_path.glob("again/trainer/checkpoint-*"))


def test_weak_labels_train_in_trl_as_they_are(bench: Bench, tmp_path: Path) -> None:
    import datasets
    from trl import RewardConfig, RewardTrainer

    (relabel,) = bench.stages("relabel")
    data = datasets.load_dataset(str(relabel / "dataset"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(data) == 500
    assert set(data.column_names) >= {"prompt", "chosen", "rejected", "chosen_probability"}
    assert min(data["chosen_probability"]) >= 0.5
    (pretrained,) = [
        path
        for path in bench.cache.glob("stages/pretrain-*")
        if "hidden_size: 32" in (path / "config.yaml").read_text()
    ]
    config = RewardConfig(str(tmp_path), max_steps=2, bf16=False, use_cpu=True, report_to="none", save_strategy="no")
    trainer = RewardTrainer(model=str(pretrained / "model"), args=config, train_dataset=data)
    assert trainer.train().global_step == 2


def test_a_file_of_labels_supervises(bench: Bench, tmp_path: Path) -> None:
    """The weak model's own labels, of the test examples too, handed over as a file, give the same student and PGR."""
    (relabel,), (prepare,) = bench.stages("relabel"), bench.stages("prepare")
    plan = json.loads((bench.folder / "runs" / "tiny" / "plan.json").read_text(encoding="utf-8"))
    (judged,) = [
        Path(stage["folder"]) for stage in plan["stages"] if (stage["stage"], stage["of"]) == ("evaluate", "weak")
    ]
    scores = read_predictions(judged / "predictions.parquet").scores
    test = [
        WeakLabel(example.id, example.candidate_ids, softmax(row))
        for example, row in zip(read_examples(prepare / "examples" / "test.parquet"), scores, strict=True)
    ]
    write_labels(tmp_path / "labels.parquet", [*read_labels(relabel / "weak_labels.parquet"), *test])
    bench.run(f"weak={{labels: {tmp_path / 'labels.parquet'}}}", "name=tiny", runs="from_file")
    (ours,), (original,) = bench.report("from_file"), bench.report()
    same = ("student_accuracy", "weak_accuracy", "pgr", "agreement", "label_accuracy")
    assert {name: ours[name] for name in same} == {name: original[name] for name in same}
    assert ours["pgr"] is not None and ours["test_labelled"] == ours["n_test"]


def test_comparisons_without_ground_truth(bench: Bench, tmp_path: Path, pairs: Callable[..., Any]) -> None:
    """Unlabelled comparisons and a trained supervisor: students train, and the report says why there is no PGR."""
    file = tmp_path / "unlabelled.jsonl"
    rows = [{"prompt": row["prompt"], "a": row["chosen"], "b": row["rejected"]} for row in pairs(120)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (weak,) = bench.stages("weak")
    task = f"{{name: preference, path: {file}, response_a_column: a, response_b_column: b, n_train: 60, n_test: 20}}"
    bench.run(f"task={task}", f"weak={{model_name_or_path: {weak / 'model'}, trained: true}}", runs="no_truth")
    (row,) = bench.report("no_truth")
    assert row["pgr"] is None and row["ceiling_accuracy"] is None and row["student_accuracy"] is None
    text = (bench.folder / "no_truth" / "tiny" / "report.md").read_text(encoding="utf-8")
    assert "ground truth" in text


def test_a_killed_run_takes_its_launched_stage_with_it(bench: Bench) -> None:
    """Only the run is killed: launcher and ranks must not live on and write into the stage's folder."""
    import psutil

    process = bench.start("accelerate_config=cpu_ddp", "train.per_device_train_batch_size=16", runs="orphans")
    assert process.stdout is not None
    while "weak seed 0" not in process.stdout.readline():
        assert process.poll() is None
    run = psutil.Process(process.pid)
    while len(children := run.children(recursive=True)) < 3:
        time.sleep(0.1)
        assert process.poll() is None
    # A rank asks to die with its launcher when it begins to import our code.
    time.sleep(1.0)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


def test_chess_reports_what_the_untrained_model_does_and_writes(benches: Callable[[str], Bench]) -> None:
    import pyarrow.parquet as pq

    bench = benches("chess")
    (row,) = bench.report()
    assert row["setting"] == "chess" and row["n_test"] == 101 and 0.0 < row["chance"] < 0.2
    assert row["zero_shot_accuracy"] is not None and 0.0 <= row["zero_shot_accuracy"] <= 1.0
    assert len(bench.stages("evaluate")) == 4
    for folder in bench.stages("evaluate"):
        table = pq.read_table(folder / "predictions.parquet").to_pydict()
        for scores, greedy in zip(table["scores"], table["greedy"], strict=True):
            # Of one-word moves, the one that is written is the likeliest word, and so the likeliest move.
            assert greedy in (-1, scores.index(max(scores)))


def test_classification_has_no_zero_shot_model(benches: Callable[[str], Bench]) -> None:
    (row,) = benches("classification").report()
    assert row["setting"] == "classification" and row["chance"] == 0.5
    assert row["zero_shot_accuracy"] is None
    gap = row["ceiling_accuracy"] - row["weak_accuracy"]
    assert row["pgr"] is None or row["pgr"] == pytest.approx((row["student_accuracy"] - row["weak_accuracy"]) / gap)


@pytest.mark.parametrize(
    ("setting", "accelerate_config", "launches"),
    [
        # No engine knows the setting: each engine once, each head once; steps of training under every pair of them are
        # compared in tests/training/test_two_processes.py and tests/programs. All stages once; else weak model and
        # ceiling are there, which are trained and evaluated by the programs that the student needs too.
        ("reward_modeling", "cpu_zero3", 7),
        ("classification", "cpu_ddp", 3),
        ("chess", "cpu_zero2", 4),
    ],
)
def test_two_processes_agree_with_one(
    benches: Callable[[str], Bench], setting: str, accelerate_config: str, launches: int
) -> None:
    """Every stage under its own `accelerate launch`: same labels to 1e-3, same accuracies to two test items."""
    import pyarrow.parquet as pq

    bench, given = benches(setting), TINY[setting]["task"]
    there = bench.stages("prepare")
    if launches < 7:
        names = ("weak", "ceiling")
        there += [path for name in names for path in (*bench.stages(name), bench.evaluation(name))]
    gone = set(bench.stages("*")) - set(there)
    copy_runs(bench.folder / "runs", bench.folder / accelerate_config, gone)
    options = (f"accelerate_config={accelerate_config}", "train.per_device_train_batch_size=16")
    output = bench.run(*options, runs=accelerate_config)
    assert output.count(": done in") == launches == len(gone)
    (row,), (expected,) = bench.report(accelerate_config), bench.report()
    accuracies = ["weak_accuracy", "student_accuracy", "ceiling_accuracy"]
    for name in [*accuracies, *(["zero_shot_accuracy"] if setting == "chess" else [])]:
        assert abs(row[name] - expected[name]) <= 2 / given["n_test"] + 1e-9, name
    # An engine's way to keep weights is no reason to feed prompts more than once.
    layouts = {
        runs: json.loads((bench.stages("student", runs)[0] / "manifest.json").read_text())["counts"]["layout"]
        for runs in (accelerate_config, "runs")
    }
    assert layouts[accelerate_config] == layouts["runs"] and layouts["runs"].startswith("shared_prefix")
    labels = [
        pq.read_table(bench.stages("relabel", runs)[0] / "weak_labels.parquet").to_pydict()
        for runs in (accelerate_config, "runs")
    ]
    assert labels[0]["id"] == labels[1]["id"] and len(labels[0]["id"]) == given["n_train"] // 2
    for ours, theirs in zip(labels[0]["probabilities"], labels[1]["probabilities"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
