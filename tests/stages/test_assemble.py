"""The stage that makes a model folder of a linear model: what it saves, who takes it, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import WORDS
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm import cli
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError, ConfigError
from w2s_rm.experiment.evaluate_model import evaluate_model
from w2s_rm.experiment.feature_route import assembled
from w2s_rm.features.linear_model import load_models
from w2s_rm.features.store import read_features
from w2s_rm.integrations.reward_model import load_reward_model
from w2s_rm.integrations.rewards import reward_function
from w2s_rm.integrations.scorer import Scorer
from w2s_rm.runs.places import model_version, resolve_model
from w2s_rm.stages import Examples, Model, Stage
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.features import Features
from w2s_rm.stages.probe import Probe
from w2s_rm.types import Example

OnDisk = Callable[..., Examples]
Run = Callable[[Stage], dict[str, Any]]
OPTIONS = {"max_length": 64, "bf16": False, "per_device_eval_batch_size": 3, "use_cpu": True, "report_to": "none"}
COMPARISONS = {"setting": "reward_modeling", "head": "reward"}
CLASSES = {"setting": "classification", "head": "classification", "classes": [" no", " yes"]}


def comparisons(count: int = 40) -> list[Example]:
    """The right candidate has the word `w1` in it, at its end or not."""
    made = []
    for n in range(count):
        prompt = " ".join(WORDS[10 + n % 30 : 12 + n % 30 + n % 7])
        right, wrong = f" {WORDS[n % 50]} w1 {WORDS[n % 9]}", f" {WORDS[n % 50]} w2 {WORDS[n % 11]} w3"
        made.append(Example(f"e{n}", f"g{n}", prompt, (right, wrong) if n % 2 == 0 else (wrong, right), n % 2))
    return made


def questions(count: int = 40) -> list[Example]:
    texts = [f"{WORDS[n % 50]} {'w2' if n % 4 else 'w1'} {WORDS[n % 9]}" for n in range(count)]
    return [Example(f"q{n}", f"g{n}", text, (" no", " yes"), int(n % 4 == 0)) for n, text in enumerate(texts)]


@pytest.fixture
def probe(tmp_path: Path, on_disk: OnDisk, run_stage: Run, tiny_model: Callable[..., str]) -> Callable[..., Probe]:
    """Read features and fit a linear model to them."""

    def make(
        architecture: str, column: str, examples: Sequence[Example], encoding: dict[str, Any], **options: Any
    ) -> Probe:
        folder, (pooling, layer) = str(tmp_path / architecture), column.split(".")
        if not Path(folder).exists():
            # Without its head, which has one output.
            AutoModel.from_pretrained(tiny_model(architecture)).save_pretrained(folder)
            AutoTokenizer.from_pretrained(tiny_model(architecture)).save_pretrained(folder)
        given = on_disk(examples, examples[0].id)
        reading = Features(
            runs=tmp_path / "runs",
            examples=given,
            model_name_or_path=Model(folder, model_version(folder, "main")),
            columns=[column],
            options={**OPTIONS, **options},
            **encoding,
        )
        fitting = Probe(
            runs=tmp_path / "runs",
            examples=given,
            features=reading.features,
            head=encoding["head"],
            classes=encoding.get("classes"),
            convex=True,
            layers=[int(layer)],
            pooling=pooling,
            l2=[0.01],
            learning_rate=0.0,
            num_train_epochs=0.0,
            batch_size=1,
            seed=0,
            of="student",
        )
        for stage in (reading, fitting):
            if not stage.cached:
                run_stage(stage)
        return fitting

    return make


def own_scores(probe: Probe, examples: Sequence[Example], *, bias: bool = True) -> torch.Tensor:
    """Scores of the candidates by the linear model and the features, in one row."""
    models, chosen = load_models(Path(probe.model.path))
    table = read_features(Path(probe.features.path), models[chosen].column, [example.id for example in examples])
    scores = torch.tensor([score for row in models[chosen].scores(table) for score in row])
    return scores if bias else scores - models[chosen].bias_O.float()


def flat(rows: Sequence[Sequence[float]]) -> torch.Tensor:
    return torch.tensor([score for row in rows for score in row])


@pytest.mark.parametrize(("architecture", "column"), [("llama", "last.2"), ("mistral", "last.1"), ("gpt2", "last.0")])
def test_the_state_at_the_last_token_makes_an_ordinary_sequence_classifier(
    architecture: str, column: str, probe: Callable[..., Probe], run_stage: Run
) -> None:
    examples = comparisons()
    trained = probe(architecture, column, examples, COMPARISONS)
    folder = Path(assembled(trained.model, trained).path)
    counts = run_stage(assembled(trained.model, trained).maker)  # type: ignore[arg-type]
    assert counts["reload_difference"] < 0.01 and counts["pooled"] is False and counts["examples"] == 40
    # By transformers alone, each candidate by itself.
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert type(model).__module__.startswith(f"transformers.models.{architecture}.")
    assert model.config.num_hidden_layers == int(column[-1])
    texts = [f"{example.prompt}{candidate} <eos>" for example in examples for candidate in example.candidates]
    with torch.no_grad():
        rewards = [float(model.eval()(**tokenizer(text, return_tensors="pt")).logits) for text in texts]
    expected = own_scores(trained, examples, bias=False)
    spread = float(expected.std())
    assert counts["score_std"] == pytest.approx(float(expected.double().std(correction=0)), rel=1e-4)
    torch.testing.assert_close(torch.tensor(rewards), expected, rtol=0, atol=0.02 * spread)
    assert json.loads((folder / "w2s_rm.json").read_text())["max_length"] == 64


@pytest.mark.parametrize(
    ("architecture", "column"), [("llama", "mean.2"), ("bert", "mean.1"), ("bert", "last.2"), ("gpt2", "mean.0")]
)
def test_all_else_makes_a_folder_that_scores_rewards_and_is_evaluated_and_exported_from(
    architecture: str, column: str, probe: Callable[..., Probe], run_stage: Run, tmp_path: Path
) -> None:
    examples = comparisons()
    trained = probe(architecture, column, examples, COMPARISONS)
    made = assembled(trained.model, trained)
    counts = run_stage(made.maker)  # type: ignore[arg-type]
    assert counts["reload_difference"] < 0.01 and counts["pooled"] is True
    expected = own_scores(trained, examples)
    close = {"rtol": 0.0, "atol": 0.02 * float(expected.std())}
    # What `export --model` and the policies of a recipe ask.
    found = Scorer(load_reward_model(made.path)).score_examples(examples)
    torch.testing.assert_close(flat(found), expected, **close)
    reward = reward_function(made.path, batch_size=5)
    prompts = [example.prompt for example in examples for _ in example.candidates]
    rewards = reward(prompts, [candidate for example in examples for candidate in example.candidates])
    torch.testing.assert_close(torch.tensor(rewards), expected, **close)
    rows = [
        {"prompt": e.prompt, "chosen": e.candidates[e.gold], "rejected": e.candidates[1 - e.gold]} for e in examples
    ]  # type: ignore[operator, index]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    judged = evaluate_model(made.path, "preference", [f"path={tmp_path / 'pairs.jsonl'}"])
    right = [row.argmax() == example.gold for row, example in zip(expected.view(-1, 2), examples, strict=True)]
    assert judged.evaluation.overall.accuracy == pytest.approx(sum(right) / 40) and sum(right) > 30
    assert judged.scoring == {"max_length": 64, "bf16": False, "dtype": "auto"}
    card = (Path(made.path) / "README.md").read_text(encoding="utf-8")
    assert "register_pooled()" in card and "a strong student" in card


@pytest.mark.parametrize(("architecture", "column"), [("llama", "last.2"), ("bert", "mean_candidate.1")])
def test_classes_keep_their_intercepts(
    architecture: str, column: str, probe: Callable[..., Probe], run_stage: Run, tmp_path: Path, on_disk: OnDisk
) -> None:
    examples = questions()
    trained = probe(architecture, column, examples, CLASSES)
    made = assembled(trained.model, trained)
    assert run_stage(made.maker)["pooled"] is True  # type: ignore[arg-type]
    model = AutoModelForSequenceClassification.from_pretrained(made.path)
    assert model.config.id2label == {0: "no", 1: "yes"} and not (Path(made.path) / "w2s_rm.json").exists()
    # As any model that is trained already.
    judging = Evaluate(
        runs=tmp_path / "runs", examples=on_disk(examples, "all"), model_name_or_path=made, options=OPTIONS, **CLASSES
    )
    run_stage(judging)
    expected = own_scores(trained, examples)
    predictions = read_predictions(judging.folder / "predictions.parquet")
    torch.testing.assert_close(flat(predictions.scores), expected, rtol=0, atol=0.02 * float(expected.std()))


def test_weights_stay_what_was_fitted_where_the_model_has_16_bits(probe: Callable[..., Probe], run_stage: Run) -> None:
    trained = probe("llama", "mean.2", comparisons(), COMPARISONS, dtype="bfloat16")
    made = assembled(trained.model, trained)
    assert run_stage(made.maker)["reload_difference"] < 0.05  # type: ignore[arg-type]
    model = load_reward_model(made.path).model
    models, chosen = load_models(Path(trained.model.path))
    assert model.dtype == torch.bfloat16
    torch.testing.assert_close(model.score.weight.detach(), models[chosen].weights_OD.float(), rtol=0, atol=0)  # type: ignore[union-attr, operator]


def test_a_folder_with_other_scores_is_none(probe: Callable[..., Probe], run_stage: Run, tmp_path: Path) -> None:
    ours, other = (probe(name, "last.2", comparisons(), COMPARISONS) for name in ("llama", "gpt2"))
    stage: Any = assembled(ours.model, ours).maker
    # As if the features were those of another model.
    broken = dataclasses.replace(stage, features=other.features)
    with pytest.raises(ArtifactError, match="scores differ from those of .*probe.safetensors by .* standard deviation"):
        run_stage(broken)
    # Nothing half-written, and a rerun goes on.
    assert not list(broken.folder.glob("*model*")) and not broken.cached


def test_what_no_row_of_tokens_says_is_refused(probe: Callable[..., Probe]) -> None:
    trained = probe("llama", "mean_candidate.1", comparisons(), COMPARISONS)
    with pytest.raises(ConfigError, match="pooling mean_candidate: no model can be made .* train with pooling mean or"):
        assembled(trained.model, trained)


def test_the_command_makes_what_a_recipe_makes_also_where_runs_was_moved(
    probe: Callable[..., Probe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = probe("llama", "mean.2", comparisons(), COMPARISONS)
    assert cli.main(["assemble", str(trained.folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == assembled(trained.model, trained).path
    written = (Path(assembled(trained.model, trained).path) / "model.safetensors").stat().st_mtime_ns
    shutil.copytree(tmp_path / "runs", tmp_path / "moved")
    moved = tmp_path / "moved" / "stages"
    (moved / assembled(trained.model, trained).maker.folder.name / "manifest.json").unlink()  # type: ignore[union-attr]
    shutil.rmtree(tmp_path / "runs" / "stages" / trained.features.maker.folder.name)  # type: ignore[union-attr]
    assert cli.main(["assemble", str(moved / trained.folder.name)]) == 0
    found = Path(capsys.readouterr().out.splitlines()[-1])
    assert found == moved / assembled(trained.model, trained).maker.folder.name / "model" and found.is_dir()  # type: ignore[union-attr]
    assert (Path(assembled(trained.model, trained).path) / "model.safetensors").stat().st_mtime_ns == written
    assert cli.main(["assemble", str(tmp_path)]) == 2
    assert "no finished stage probe; give the folder of one" in capsys.readouterr().err


def test_who_is_given_a_linear_model_says_what_makes_a_folder_of_it(
    probe: Callable[..., Probe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = probe("llama", "mean.2", comparisons(), COMPARISONS)
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"prompt": "w1", "response": "w2"}\n', encoding="utf-8")
    for command in (["score", str(trained.folder), str(asked)], ["evaluate", trained.model.path]):
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert f"is a linear model on features, which reads no texts; run w2s-rm assemble {trained.folder}," in said
    with pytest.raises(ConfigError, match="model_name_or_path .*run w2s-rm assemble"):
        resolve_model(str(trained.folder))
