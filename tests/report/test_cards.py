"""Model cards: what they say, that the hub can read them, and that they leave hashes and other files alone."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.examples import write_examples
from w2s_rm.errors import ArtifactError, ConfigError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.run import run_plan
from w2s_rm.experiment.suite import load_suite
from w2s_rm.files import read_signed, write_signed
from w2s_rm.report import collect
from w2s_rm.report.card_facts import find_uses
from w2s_rm.report.cards import update_cards, write_card
from w2s_rm.report.rows import row_record
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.hub import hub_problems, push_model, repository
from w2s_rm.runs.places import model_version
from w2s_rm.stages.train import Train
from w2s_rm.types import Example

MakeRun = Callable[..., Path]
COUNTS = {"examples": 300, "scored_examples": 150, "score_mean": 1.2345678, "score_std": 0.5}
MANIFEST = {"counts": COUNTS, "packages": {"trl": "1.12.0"}}


def add_stage(runs: Path, name: str, config: dict[str, Any], manifest: dict[str, Any] = MANIFEST) -> Path:
    """A finished stage with a folder for its model."""
    folder = runs / "stages" / name
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    StageFolder(folder).seal(manifest)
    return folder


def train_config(runs: Path, of: str, **changes: Any) -> dict[str, Any]:
    return {
        "stage": "train",
        "of": of,
        "head": "reward",
        "setting": "reward_modeling",
        "examples": str(runs / "stages" / "prepare-0" / "examples" / "relabel.parquet"),
        "model_name_or_path": "Qwen/Qwen2.5-7B",
        "seed": 0,
        "run_name": f"demo-{of}-seed0",
        "loss": {"name": "log_confidence", "max_weight": 0.5},
        "hub_token": "hf_secret",
        **changes,
    }


@pytest.fixture
def run(tmp_path: Path, make_run: MakeRun, answers: Callable[..., list[float]]) -> Iterator[Path]:
    """A finished run with a weak model, its labels, a student and a ceiling."""
    runs = tmp_path / "runs"
    prepared = {"task": {"name": "anthropic_hh", "format": "text"}}
    add_stage(runs, "prepare-0", prepared)
    add_stage(runs, "weak-0", train_config(runs, "weak", model_name_or_path="Qwen/Qwen2.5-0.5B", loss="cross_entropy"))
    weak = str(runs / "stages" / "weak-0" / "model")
    labelled = {"counts": {"label_accuracy": 0.71, "n_labelled": 300}}
    add_stage(runs, "relabel-0", {"stage": "relabel", "model_name_or_path": weak}, labelled)
    labels = str(runs / "stages" / "relabel-0" / "weak_labels.parquet")
    add_stage(runs, "student-0", train_config(runs, "student", labels=labels))
    add_stage(runs, "ceiling-0", train_config(runs, "ceiling"))
    yield finish(make_run, "demo", [answers(80)])


def finish(make_run: MakeRun, name: str, students: list[list[float]], **options: Any) -> Path:
    """Add the trained stages to a synthetic run, with its recipe and report."""
    right = [1.0] * 70 + [0.0] * 30
    given = {"weak": [right], "ceiling": [[1.0] * 90 + [0.0] * 10], **options}
    folder = make_run(name, students={"logconf": students}, **given)
    plan = read_signed(folder / "plan.json")
    for of, method in (("weak", None), ("student", "logconf"), ("ceiling", None)):
        place = str(folder.parent / "stages" / f"{of}-0")
        plan["stages"].append({"stage": "train", "of": of, "method": method, "seed": 0, "folder": place})
    write_signed(folder / "plan.json", plan)
    recipe = {"name": name, "task": {"name": "anthropic_hh"}, "strong": {"model_name_or_path": "/home/me/secret/big"}}
    recipe["train"] = {"hub_token": "hf_secret", "max_length": 64}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    # As `write_report`, but without drawing.
    (folder / "report.json").write_text(json.dumps([row_record(row) for row in collect(folder)]))
    return folder


def card(run: Path, stage: str) -> str:
    return (run.parent / "stages" / f"{stage}-0" / "model" / "README.md").read_text(encoding="utf-8")


def test_a_student_with_its_run(run: Path) -> None:
    assert [path.parents[1].name for path in update_cards(run)] == ["weak-0", "student-0", "ceiling-0"]
    text = card(run, "student")
    row = json.loads((run / "report.json").read_text())[0]
    assert row["pgr"] == 0.5
    for part in (
        "# demo-student-seed0\n",
        "a strong student, trained on the labels of a weaker supervisor",
        "| trained on | 300 examples |",
        "| labels | Qwen/Qwen2.5-0.5B, trained on the ground truth (weak-0) |",
        "| right labels | 71.0 % |",
        r"| loss | log\_confidence (max\_weight 0.5) |",
        f"| 0.50 [{row['pgr_low']:.2f}, ",
        f"| {100 * row['agreement']:.1f} |",
        "This model (demo, student logconf, seed 0): accuracy 80.0 %.",
        "Mean 1.235, standard deviation 0.5, over the candidates of 150 training prompts.",
        'reward_function("stages/student-0/model")',
        "no proof of alignment",
        "## Recipe\n\n```yaml\nname: demo\n",
        "trl 1.12.0",
    ):
        assert part in text, part
    assert "hf_secret" not in text and "/home/me" not in text and str(run.parent) not in text


def test_a_model_that_was_stopped_says_where_and_by_what(run: Path) -> None:
    stages = run.parent / "stages"
    for name in ("student-0", "ceiling-0"):
        config = yaml.safe_load((stages / name / "config.yaml").read_text(encoding="utf-8"))
        counts = {**COUNTS, "steps": 94, "kept_step": 20}
        add_stage(run.parent, name, {**config, "keep": "weak_validation"}, {**MANIFEST, "counts": counts})
    (row,) = json.loads((run / "report.json").read_text())
    row["per_seed"][0]["student_weak_validation"] = 0.83
    (run / "report.json").write_text(json.dumps([row]))
    update_cards(run)
    where = "| saved | after step 20 of 94, the first where it "
    text = card(run, "student")
    assert f"{where}agreed most with the supervisor's labels on the validation split |" in text
    assert "students at the end of their training; this model is the one named above" in text
    # The table keeps to the end of training, and the line of this model to what is in the folder.
    assert "(demo, student logconf, seed 0): accuracy 83.0 %" in text and "80.0" in text
    assert f"{where}was right most often on the validation split |" in card(run, "ceiling")
    assert "| saved |" not in card(run, "weak")


def test_accuracies_are_those_of_the_model_itself(
    run: Path, make_run: MakeRun, answers: Callable[..., list[float]]
) -> None:
    """A method's own supervisor has its own row, and a model that was not evaluated in its role has no accuracy."""
    folder = run.parent
    right = [1.0] * 70 + [0.0] * 30
    students = {"logconf": [answers(80)], "chain": [answers(85)]}
    other = make_run("other", students=students, weak=[right], ceiling=[[1.0] * 90 + [0.0] * 10])
    shutil.copytree(folder / "stages" / "evaluate-other-weak-None-0", folder / "stages" / "evaluate-own")
    own = pq.read_table(folder / "stages" / "evaluate-other-student-chain-0" / "predictions.parquet")
    pq.write_table(own, folder / "stages" / "evaluate-own" / "predictions.parquet")
    plan = read_signed(other / "plan.json")

    def stage(kind: str, of: str, method: str | None, name: str) -> dict[str, Any]:
        return {"stage": kind, "of": of, "method": method, "seed": 0, "folder": str(folder / "stages" / name)}

    plan["stages"] += [
        stage("evaluate", "weak", "chain", "evaluate-own"),
        stage("train", "weak", "chain", "student-0"),
        stage("train", "weak", None, "weak-0"),
        stage("train", "weak", "logconf", "ceiling-0"),
    ]
    write_signed(other / "plan.json", plan)
    (other / "recipe.yaml").write_text("name: other\n")
    (other / "report.json").write_text(json.dumps([row_record(row) for row in collect(other)]))
    uses = {name: find_uses(folder / "stages" / name, folder)[-1] for name in ("student-0", "weak-0", "ceiling-0")}
    assert {name: use.recipe["name"] for name, use in uses.items()} == dict.fromkeys(uses, "other")
    assert [use.accuracy for use in uses.values()] == [0.85, 0.7, None]
    assert [[row["method"] for row in use.rows] for use in uses.values()] == [["chain"], ["logconf"], ["logconf"]]


def test_each_seed_has_its_own_accuracy(make_run: MakeRun, answers: Callable[..., list[float]], tmp_path: Path) -> None:
    students = {"logconf": [answers(80), answers(85)]}
    folder = make_run("seeds", weak=[answers(70), answers(71)], students=students, ceiling=[answers(90), answers(92)])
    (folder / "report.json").write_text(json.dumps([row_record(row) for row in collect(folder)]))
    plan = read_signed(folder / "plan.json")
    for of, method in (("weak", None), ("student", "logconf"), ("ceiling", None)):
        for seed in (0, 1):
            place = str(add_stage(folder.parent, f"{of}-{seed}", {}))
            plan["stages"].append({"stage": "train", "of": of, "method": method, "seed": seed, "folder": place})
    write_signed(folder / "plan.json", plan)
    (folder / "recipe.yaml").write_text("name: seeds\n")
    found = {
        f"{of}-{seed}": find_uses(folder.parent / "stages" / f"{of}-{seed}", folder.parent)[0].accuracy
        for of in ("weak", "student", "ceiling")
        for seed in (0, 1)
    }
    assert found == {
        "weak-0": 0.7,
        "weak-1": 0.71,
        "student-0": 0.8,
        "student-1": 0.85,
        "ceiling-0": 0.9,
        "ceiling-1": 0.92,
    }


def test_the_hub_reads_what_is_true(run: Path) -> None:
    update_cards(run)
    data = ModelCard(card(run, "student")).data
    assert (data.library_name, data.pipeline_tag, data.base_model) == (
        "transformers", "text-classification", "Qwen/Qwen2.5-7B",
    )  # fmt: skip
    assert data.datasets == ["Anthropic/hh-rlhf"]
    assert data.tags == ["trl", "reward-trainer", "reward-model", "w2s-rm", "weak-to-strong", "student"]
    (result,) = data.eval_results
    assert (result.dataset_type, result.metric_type, result.metric_value) == ("Anthropic/hh-rlhf", "accuracy", 0.8)
    (weak,) = ModelCard(card(run, "weak")).data.eval_results
    assert weak.metric_value == 0.7
    (ceiling,) = ModelCard(card(run, "ceiling")).data.eval_results
    assert ceiling.metric_value == 0.9


def test_what_only_this_machine_knows_is_no_id(run: Path) -> None:
    pairs = run / "pairs.jsonl"
    pairs.touch()
    runs = run.parent
    add_stage(runs, "prepare-0", {"task": {"name": "preference", "path": str(pairs)}})
    labels = str(runs / "stages" / "relabel-0" / "weak_labels.parquet")
    add_stage(runs, "student-0", train_config(runs, "student", model_name_or_path=str(run), labels=labels))
    update_cards(run)
    data = ModelCard(card(run, "student")).data
    assert data.base_model is None and data.datasets is None and data.eval_results is None
    assert "| base model | demo |" in card(run, "student")


def test_models_trained_on_the_truth_have_no_supervisor(run: Path) -> None:
    update_cards(run)
    assert "| labels | the ground truth |" in card(run, "ceiling") and "right labels" not in card(run, "ceiling")
    assert "This model (demo, ceiling, seed 0): accuracy 90.0 %." in card(run, "ceiling")
    assert "learned some of its mistakes" not in card(run, "ceiling")
    assert "This model (demo, weak, seed 0): accuracy 70.0 %." in card(run, "weak")


def test_a_shared_model_lists_every_run(run: Path, make_run: MakeRun, answers: Callable[..., list[float]]) -> None:
    update_cards(run)
    alone = card(run, "weak")
    other = finish(make_run, "another", [answers(75)])
    update_cards(other)
    both = card(run, "weak")
    assert "| another | logconf |" in both and "| demo | logconf |" in both and "| another |" not in alone
    assert both.index("name: another\n") < both.index("name: demo\n") and "## Recipes" in both
    update_cards(run)
    assert card(run, "weak") == both, "whoever writes it, it says the same"


def test_a_run_without_truth_says_so(run: Path, make_run: MakeRun, answers: Callable[..., list[float]]) -> None:
    finish(make_run, "demo", [answers(80)], weak=None, ceiling=None, gold=[None] * 100, label_accuracies=[None])
    update_cards(run)
    text = card(run, "student")
    assert "There is no PGR" in text and "This model" not in text
    assert ModelCard(text).data.eval_results is None


def test_a_supervisor_that_is_a_file(run: Path) -> None:
    runs = run.parent
    given = {"stage": "relabel", "labels": "/home/me/people.jsonl", "other_examples": []}
    add_stage(runs, "relabel-0", given, {"counts": {"label_accuracy": None}})
    update_cards(run)
    assert "| labels | labels from the file people.jsonl |" in card(run, "student")
    assert "| right labels | not known |" in card(run, "student")


@pytest.mark.parametrize(
    ("head", "kind", "words", "auto"),
    [
        ("lm", "text-generation", "## Scale of its scores", "AutoModelForCausalLM"),
        ("classification", "text-classification", "## Scale of its logits", "AutoModelForSequenceClassification"),
    ],
)
def test_other_heads_have_their_words(run: Path, head: str, kind: str, words: str, auto: str) -> None:
    add_stage(run.parent, "ceiling-0", train_config(run.parent, "ceiling", head=head))
    update_cards(run)
    text = card(run, "ceiling")
    assert words in text and f"{auto}.from_pretrained" in text
    assert "reward_function" not in text and "Reward model" not in text
    data = ModelCard(text).data
    assert data.pipeline_tag == kind and "reward-trainer" not in data.tags


def test_before_any_report(run: Path) -> None:
    folder = run.parent / "stages" / "student-0"
    write_card(folder, MANIFEST)
    text = card(run, "student")
    assert "No report of a run with this model is written yet" in text and "## Config of the stage" in text
    assert "| right labels | 71.0 % |" in text and "hf_secret" not in text and str(run.parent) not in text


def test_moved_and_missing_folders(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    run.parent.rename(moved)
    (moved / "stages" / "ceiling-0" / "model").rmdir()
    update_cards(moved / "demo")
    assert "| right labels | 71.0 % |" in card(moved / "demo", "student")
    (moved / "stages" / "weak-0" / "manifest.json").unlink()
    assert [path.parents[1].name for path in update_cards(moved / "demo")] == ["student-0"]
    (moved / "demo" / "report.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"report.json: cannot be read as JSON"):
        update_cards(moved / "demo")


def test_a_card_is_no_part_of_a_models_identity(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = model_version(str(tmp_path), "main")
    (tmp_path / "README.md").write_text("a card")
    assert model_version(str(tmp_path), "main") == before
    (tmp_path / "vocab.txt").write_text("words")
    assert model_version(str(tmp_path), "main") != before


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Callable[..., str], pairs: Callable[..., Any]) -> Path:
    """A student that the stage itself trained, with a checkpoint on the way."""
    rows = pairs(24)
    examples = [Example(row["id"], row["prompt"], row["prompt"], (row["chosen"], row["rejected"]), 0) for row in rows]
    write_examples(tmp_path / "data" / "examples.parquet", examples)
    config = {
        "stage": "train",
        "of": "ceiling",
        "examples": str(tmp_path / "data" / "examples.parquet"),
        "model_name_or_path": tiny_model(),
        "run_name": "small",
        "max_steps": 4,
        "save_steps": 2,
        "per_device_train_batch_size": 6,
        "learning_rate": 1e-3,
        "max_length": 64,
        "bf16": False,
        "report_to": "none",
    }
    (tmp_path / "stage.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    Train.run(["--config", str(tmp_path / "stage.yaml"), "--output_dir", str(tmp_path / "out")])
    return tmp_path / "out"


def test_a_trained_model_has_its_card_and_its_scale(trained: Path, pairs: Callable[..., Any]) -> None:
    counts = json.loads((trained / "manifest.json").read_text())["counts"]
    model = AutoModelForSequenceClassification.from_pretrained(trained / "model")
    tokenizer = AutoTokenizer.from_pretrained(trained / "model")
    texts = [f"{row['prompt']}{row[column]} <eos>" for row in pairs(24) for column in ("chosen", "rejected")]
    with torch.no_grad():
        rewards = [float(model(tokenizer(text, return_tensors="pt")["input_ids"]).logits[0, 0]) for text in texts]
    assert counts["scored_examples"] == 24
    assert counts["score_mean"] == pytest.approx(statistics.fmean(rewards), abs=1e-5)
    assert counts["score_std"] == pytest.approx(statistics.pstdev(rewards), rel=1e-4)
    text = (trained / "model" / "README.md").read_text(encoding="utf-8")
    assert f"Mean {counts['score_mean']:.4g}, " in text and "# small\n" in text
    assert ModelCard(text).data.tags[0] == "trl"
    assert not (trained / "trainer").exists(), "TRL's draft of a card does not stay"


def test_the_trainer_alone_drafts_trls_card(
    tiny_model: Callable[..., str], tiny_tokenizer: Callable[..., Any], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    args = W2SRewardConfig(str(tmp_path), bf16=False, report_to="none")
    trainer = W2SRewardTrainer(
        model=tiny_model(),
        args=args,
        train_dataset=datasets.Dataset.from_list(pairs(4)),
        processing_class=tiny_tokenizer(),
    )
    trainer.create_model_card(model_name="mine")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "# Model Card for mine" in text and set(ModelCard(text).data.tags) >= {"trl", "reward-trainer", "w2s-rm"}


def test_each_stage_has_a_repository_of_its_own() -> None:
    assert repository({"hub_model_id": "me/gap", "run_name": "demo-weak-seed0"}) == "me/gap-demo-weak-seed0"
    assert repository({"run_name": "demo-weak-seed0"}) == "demo-weak-seed0"


def test_pushing_is_refused_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    config = {"push_to_hub": True, "run_name": "demo-weak-seed0"}
    assert hub_problems([{**config, "push_to_hub": False}, {}]) == []
    (problem,) = hub_problems([config, config])
    assert "nobody is logged in to the hub: log in with `hf auth login`" in problem
    name, login = hub_problems([{**config, "run_name": "a--b"}])
    assert "a--b" in name and "change hub_model_id" in name and "logged in" in login
    # With a token, the hub is asked, which this test cannot reach.
    (asked,) = hub_problems([{**config, "hub_token": "hf_x"}])
    assert "the hub does not know who is logged in" in asked and "hf_x" not in asked


def test_a_stage_launched_by_hand_refuses_too(
    tmp_path: Path, tiny_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    config = {"stage": "train", "examples": "nowhere", "model_name_or_path": tiny_model(), "push_to_hub": True}
    (tmp_path / "stage.yaml").write_text(yaml.safe_dump({**config, "run_name": "x"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="nobody is logged in"):
        Train.run(["--config", str(tmp_path / "stage.yaml"), "--output_dir", str(tmp_path / "out")])


def test_what_is_pushed_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Api:
        """Notes what the hub would be asked for."""

        def __init__(self, token: str | None = None) -> None:
            calls.append(("login", {"token": token}))

        def create_repo(self, name: str, **options: Any) -> Any:
            calls.append(("create", {"name": name, **options}))
            return type("Created", (), {"repo_id": f"me/{name}"})

        def create_branch(self, name: str, **options: Any) -> None:
            calls.append(("branch", {"name": name, **options}))

        def upload_folder(self, **options: Any) -> None:
            calls.append(("upload", options))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    config = {"run_name": "demo-weak-seed0", "hub_token": "t", "hub_private_repo": True, "hub_revision": "v1"}
    push_model(tmp_path, config)
    assert calls == [
        ("login", {"token": "t"}),
        ("create", {"name": "demo-weak-seed0", "private": True, "exist_ok": True}),
        ("branch", {"name": "me/demo-weak-seed0", "branch": "v1", "exist_ok": True}),
        (
            "upload",
            {
                "repo_id": "me/demo-weak-seed0",
                "folder_path": tmp_path,
                "revision": "v1",
                "commit_message": "Model and card",
            },
        ),
    ]


def test_a_run_that_may_not_push_trains_nothing(
    tmp_path: Path, tiny_model: Callable[..., str], pairs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs(60)), encoding="utf-8")
    content = {
        "name": "demo",
        "task": {"name": "preference", "path": str(tmp_path / "pairs.jsonl"), "n_train": 8, "n_test": 4},
        "weak": {"model_name_or_path": tiny_model()},
        "strong": {"model_name_or_path": tiny_model()},
        "train": {"push_to_hub": True, "bf16": False},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_suite(tmp_path / "recipe.yaml", []).recipes[0], tmp_path / "runs")
    with pytest.raises(ConfigError, match="nobody is logged in to the hub"):
        run_plan(plan, lambda line: None)
    trained = [path.name for path in (tmp_path / "runs" / "stages").iterdir() if not path.name.startswith("prepare-")]
    assert trained == []
