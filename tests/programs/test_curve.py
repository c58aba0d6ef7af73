"""The curve of a training: whole after a kill, and the training with it is the one without it, to the last bit."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file
from training_helpers import COMMON
from transformers import TrainerCallback

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.data.curves import CURVE_FILE, CurvePart, read_curve, write_curve
from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.data.predictions import read_predictions
from w2s_rm.errors import ArtifactError, ConfigError
from w2s_rm.programs import curve
from w2s_rm.programs.evaluate import evaluate
from w2s_rm.programs.keeping import Keeper
from w2s_rm.programs.train import train
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.train import Train
from w2s_rm.types import Example

STEPS = 8
# Thresholds of a step are taken before it, with dropout: in whatever mode and with whatever chance an evaluation left.
OPTIONS: dict[str, Any] = {
    **COMMON,
    "max_steps": STEPS,
    "gradient_accumulation_steps": 2,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 3,
    "model_init_kwargs": {"attention_dropout": 0.3},
    "classes": ["no", "yes"],
    "loss": {"name": "log_confidence", "max_weight": 0.7, "warmup_fraction": 0.1},
}
del OPTIONS["report_to"], OPTIONS["disable_tqdm"]


@pytest.fixture
def written(
    tiny_model: Callable[..., str],
    ragged_examples: Callable[..., list[Example]],
    scoring_stage: Callable[..., list[str]],
    tmp_path: Path,
) -> Callable[..., list[str]]:
    """Write a training stage and return its arguments; weak labels are of all but the test examples."""
    examples, model = ragged_examples(60, 2), tiny_model()
    pieces = {"train": examples[:30], "validation": examples[30:42], "test": examples[42:]}
    for name, part in pieces.items():
        write_examples(tmp_path / f"{name}.parquet", part)
        labels = [WeakLabel(one.id, one.candidate_ids, _peaked(len(one.candidates), 1)) for one in part]
        write_labels(tmp_path / f"{name}_labels.parquet", labels)
    held_out = {
        "evaluations": 3,
        "validation": str(tmp_path / "validation.parquet"),
        "validation_labels": str(tmp_path / "validation_labels.parquet"),
        "test": str(tmp_path / "test.parquet"),
    }

    def write(name: str, evaluated: bool = True, **changes: Any) -> list[str]:
        labels = {"labels": str(tmp_path / "train_labels.parquet")}
        options = {**OPTIONS, **labels, **(held_out if evaluated else {}), **changes}
        options = {option: value for option, value in options.items() if value is not None}
        return scoring_stage("train", model, pieces["train"], name, **options)

    return write


@pytest.fixture
def stage(written: Callable[..., list[str]], tmp_path: Path) -> Callable[..., Path]:
    """Run a training stage and return its folder."""

    def run(name: str, evaluated: bool = True, **changes: Any) -> Path:
        train(written(name, evaluated, **changes), Train)
        return tmp_path / name

    return run


def _peaked(size: int, place: int) -> tuple[float, ...]:
    return tuple(0.7 if k == place else 0.3 / (size - 1) for k in range(size))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(value, second[name]) for name, value in first.items()) and len(first) == len(second)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def counts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["counts"])


def test_training_is_untouched_and_everything_is_scored_once_each_time(stage: Callable[..., Path]) -> None:
    plain, evaluated = (stage(name, evaluated=name == "evaluated") for name in ("plain", "evaluated"))
    assert same_weights(plain, evaluated)
    trained = [line for line in lines(evaluated) if not any(name.startswith("eval_") for name in line)]
    own = ("train_runtime", "train_samples_per_second", "train_steps_per_second")
    for line, without in zip(trained, lines(plain), strict=True):
        assert {**line, **dict.fromkeys(own)} == {**without, **dict.fromkeys(own)}

    parts = read_curve(evaluated / CURVE_FILE)
    assert [(part.step, part.split) for part in parts] == [
        (step, split) for step in (0, 2, 4, STEPS) for split in ("validation", "test")
    ]
    assert [len(part.predictions.ids) for part in parts] == [12, 18] * 4
    assert counts(evaluated)["evaluated_rows"] == 4 * (12 + 18)
    assert counts(evaluated)["evaluated_steps"] == [0, 2, 4, STEPS]
    # The supervisor's labels are those of the split that it labelled.
    assert [part.labels is None for part in parts] == [False, True] * 4
    assert not (evaluated / "curve").exists()
    live = [line for line in lines(evaluated) if "eval_test_accuracy" in line]
    assert [line["step"] for line in live] == [0, 2, 4, STEPS]
    assert [line["eval_validation_agreement"] for line in live] == [_agreement(part) for part in parts[::2]]


def killed_at(name: str) -> Callable[..., None]:
    def killed(path: Path, parts: Iterable[CurvePart]) -> None:
        write_curve(path, parts)
        if path.name == name:
            raise KeyboardInterrupt

    return killed


def test_a_curve_is_whole_after_a_kill(stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "evaluation_spacing": "even", "evaluations": 4}
    # A loss without thresholds: those of the first step after a checkpoint are taken before its chance is put back.
    saving["loss"] = {"name": "cross_entropy"}
    whole = stage("whole", **saving)

    # After an evaluation, before the checkpoint of the same step: what it scored is not to stand twice.
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(curve, "write_curve", killed_at("step-6.parquet"))
        stage("killed", **saving)
    folder = whole.parent / "killed"
    assert {path.name for path in (folder / "curve").iterdir()} == {f"step-{step}.parquet" for step in (0, 2, 4, 6)}
    assert [path.name for path in (folder / "trainer").glob("checkpoint-*")] == ["checkpoint-3"]
    assert same_weights(stage("killed", **saving), whole)
    assert read_curve(folder / CURVE_FILE) == read_curve(whole / CURVE_FILE)
    assert [part.step for part in read_curve(folder / CURVE_FILE)] == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]
    assert [line["step"] for line in lines(folder) if "eval_test_accuracy" in line] == [0, 2, 4, 6, 8]


CURVE_OPTIONS = ("evaluations", "evaluation_spacing", "keep")
KEEP: dict[str, Any] = {
    "keep": "weak_validation",
    "loss": {"name": "cross_entropy"},
    "learning_rate": 1e-2,
    "evaluation_spacing": "even",
    "evaluations": 8,
    "max_steps": 16,
}


def agreements(folder: Path) -> list[float]:
    return [_agreement(part) for part in read_curve(folder / CURVE_FILE) if part.split == "validation"]


@pytest.mark.parametrize("adapter", [{}, {"use_peft": True, "lora_target_modules": ["q_proj", "v_proj"]}])
def test_the_first_of_the_best_models_is_saved(
    stage: Callable[..., Path], scoring_stage: Callable[..., list[str]], tmp_path: Path, adapter: dict[str, Any]
) -> None:
    folder = stage("kept", **KEEP, **adapter)
    values, found = agreements(folder), counts(folder)
    kept = found["evaluated_steps"][values.index(max(values))]
    # Neither the first nor the last: otherwise this would show little.
    assert 0 < kept < 16 and found["kept_step"] == kept
    assert not (folder / "kept").exists() and found["reload_difference"] < 1e-5
    assert saved_step(folder, scoring_stage, tmp_path) == [kept]


def test_the_best_model_outlives_a_kill(stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**KEEP, "save_strategy": "steps", "save_steps": 5}
    whole = stage("whole", **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(curve, "write_curve", killed_at("step-14.parquet"))
        stage("killed", **options)
    folder = whole.parent / "killed"
    assert same_weights(stage("killed", **options), whole)
    assert counts(folder)["kept_step"] == counts(whole)["kept_step"]


def test_what_was_best_at_a_checkpoint_is_there_although_a_better_one_came_and_went(
    tiny_model: Callable[..., str], pairs: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    class Offering(TrainerCallback):
        def __init__(self, values: dict[int, float], killed_at: int | None = None) -> None:
            self.values, self.killed_at = values, killed_at

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in self.values:
                with trainer.between_steps():
                    keeper.offer(state.global_step, self.values[state.global_step])
            if state.global_step == self.killed_at:
                raise KeyboardInterrupt

    def begin(offering: Offering) -> tuple[W2SRewardTrainer, Keeper]:
        saving = {"max_steps": 7, "save_strategy": "steps", "save_steps": 3}
        config = W2SRewardConfig(str(tmp_path / "trainer"), **{**COMMON, **saving})
        trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(pairs(24)))
        keeper = Keeper(trainer, StageFolder(tmp_path), trainer.train_dataset)
        for callback in (keeper, offering):
            trainer.add_callback(callback)
        return trainer, keeper

    trainer, keeper = begin(Offering({1: 0.5, 2: 0.9, 4: 0.95, 5: 0.97}, killed_at=5))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"step-2", "step-5"}
    expected = load_file(tmp_path / "kept" / "step-2" / "model" / "model.safetensors")
    # On another machine the same steps came out otherwise.
    trainer, keeper = begin(Offering({4: 0.7, 6: 0.9}))
    trainer.train(resume_from_checkpoint=True)
    assert keeper.take(tmp_path / "model").step == 2
    taken = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(value, expected[name]) for name, value in taken.items())
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["step-2"]

    shutil.rmtree(tmp_path / "kept")
    trainer, keeper = begin(Offering({}))
    with pytest.raises(ArtifactError, match="kept: is gone"):
        trainer.train(resume_from_checkpoint=True)


def test_nothing_to_choose_by_is_refused(stage: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="keep weak_validation: give evaluations and a validation split"):
        stage("unseen", **{**KEEP, "validation": None, "validation_labels": None})


def test_more_evaluations_than_steps_are_refused(stage: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="evaluations is 9, and the training has 8 steps; use 8 or fewer"):
        stage("many", evaluations=9)


class TwoSets(torch.optim.SGD):
    """An optimizer that judges by other weights than it trains, as schedule-free ones do: back and forth rounds."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr, momentum=0.9)
        self.judging = False

    def eval(self) -> None:
        self._turn(1.1, judging=True)

    def train(self) -> None:
        self._turn(1 / 1.1, judging=False)

    def _turn(self, factor: float, judging: bool) -> None:
        if self.judging != judging:
            self.judging = judging
            with torch.no_grad():
                for group in self.param_groups:
                    for weight in group["params"]:
                        weight.mul_(factor)


def test_weights_of_an_optimizer_with_two_sets_are_put_back(
    tiny_model: Callable[..., str], pairs: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(24))
    judged = []

    class Scoring(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            with trainer.between_steps():
                list(trainer.score_rows(trainer.train_dataset))
                judged.append(trainer.optimizer.optimizer.judging)

    results = []
    for callbacks in ([], [Scoring()]):
        config = W2SRewardConfig(str(tmp_path / "out"), **{**COMMON, "max_steps": 4})
        trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data, callbacks=callbacks)
        trainer.optimizer = TwoSets(trainer.model.parameters(), lr=0.1)
        trainer.train()
        results.append(trainer.model.state_dict())
    assert judged == [True] * 4
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cpu_zero2", "cpu_zero3"])
def test_two_processes_score_and_keep_alike(
    stage: Callable[..., Path],
    written: Callable[..., list[str]],
    scoring_stage: Callable[..., list[str]],
    tmp_path: Path,
    engine: str,
) -> None:
    # Each process has a chance of its own; and what rounding does to Adam's steps grows with their size.
    options = {**KEEP, "model_init_kwargs": {}, "learning_rate": 1e-3}
    alone = stage("alone", **options)
    options["per_device_train_batch_size"] = 2
    orders = [
        {"stage": "train", "arguments": written(name, name == "evaluated", **{**options, **without})}
        for name, without in (("plain", dict.fromkeys(CURVE_OPTIONS)), ("evaluated", {}))
    ]
    (tmp_path / "orders").mkdir()
    for number, order in enumerate([*orders, {}]):
        (tmp_path / "orders" / f"{number}.json").write_text(json.dumps(order), encoding="utf-8")
    launch = Launch(find_accelerate_config(engine)).command()
    subprocess.run([*launch, "-m", "w2s_rm.programs.in_turn", str(tmp_path / "orders")], check=True)
    plain, folder = tmp_path / "plain", tmp_path / "evaluated"
    logged = [[line["loss"], line["grad_norm"]] for line in lines(plain) if "loss" in line]
    assert logged == [[line["loss"], line["grad_norm"]] for line in lines(folder) if "loss" in line]
    assert len(logged) == KEEP["max_steps"]

    parts, expected = read_curve(folder / CURVE_FILE), read_curve(alone / CURVE_FILE)
    assert [(part.step, part.split) for part in parts] == [(part.step, part.split) for part in expected]
    for part, other in zip(parts, expected, strict=True):
        assert part.predictions.ids == other.predictions.ids
        for scores, others in zip(part.predictions.scores, other.predictions.scores, strict=True):
            assert scores == pytest.approx(others, abs=1e-3)
    values, kept = agreements(folder), counts(folder)["kept_step"]
    assert kept == counts(folder)["evaluated_steps"][values.index(max(values))]
    assert saved_step(folder, scoring_stage, tmp_path) == [kept]


def saved_step(folder: Path, scoring_stage: Callable[..., list[str]], tmp_path: Path) -> list[int]:
    """The steps after which the model scored the test examples as the saved one does, loaded afresh."""
    examples = read_examples(tmp_path / "test.parquet")
    evaluate(scoring_stage("evaluate", str(folder / "model"), examples, f"{folder.name}_judged"), Evaluate)
    saved = read_predictions(tmp_path / f"{folder.name}_judged" / "predictions.parquet").scores
    by_step = {part.step: part.predictions.scores for part in read_curve(folder / CURVE_FILE) if part.split == "test"}
    return [
        step
        for step, scores in by_step.items()
        if all(one == pytest.approx(other, rel=1e-4, abs=1e-5) for one, other in zip(saved, scores, strict=True))
    ]


def _agreement(part: CurvePart) -> float:
    """Share of examples whose highest score is that of the second candidate, which all labels name."""
    first = [scores.index(max(scores)) == 1 for scores in part.predictions.scores]
    return sum(first) / len(first)
