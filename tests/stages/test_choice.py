"""The stage that takes one of several models: which one it is, and what of it is put where."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from w2s_rm.data.predictions import write_predictions
from w2s_rm.errors import DataError
from w2s_rm.files import write_signed, write_text
from w2s_rm.report.card_facts import find_uses, gather
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages import Examples, Labels, Model, Scores, Stage
from w2s_rm.stages.choice import Choice
from w2s_rm.types import Example, Predictions

OnDisk = Callable[..., Examples]
RunStage = Callable[[Stage], dict[str, Any]]
Margins = Sequence[float]


def add_trial(runs: Path, number: int, **options: Any) -> Path:
    """A finished training with a model, an adapter and a card."""
    folder = runs / "stages" / f"student-{number}"
    for name in ("model", "adapter"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").write_text(f"{name} of trial {number}", encoding="utf-8")
    (folder / "model" / "README.md").write_text(f"card of trial {number}", encoding="utf-8")
    config = {"stage": "train", "of": "intermediate", "run_name": f"trial-{number}", "seed": 3, **options}
    config |= {"examples": str(runs / "stages" / "prepare-0" / "examples" / "relabel.parquet")}
    config |= {"model_name_or_path": "base/model", "loss": {"name": "cross_entropy"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    counts = {"examples": 300, "steps": 10 + number, "kept_step": 5}
    StageFolder(folder).seal({"counts": counts})
    return folder


@pytest.fixture
def choice_of(tmp_path: Path, examples: list[Example], on_disk: OnDisk) -> Callable[..., Choice]:
    """A choice among trials, each with the margin of the first candidate over the second in every example."""

    def make(trials: Sequence[Margins], trained: Path = tmp_path, **fields: Any) -> Choice:
        folders = [add_trial(trained, number) for number in range(len(trials))]
        ids, golds = tuple(example.id for example in examples), tuple(example.gold for example in examples)
        scores = []
        for number, margins in enumerate(trials):
            path = tmp_path / f"scores-{number}.parquet"
            write_predictions(path, [Predictions(ids, tuple((margin, 0.0) for margin in margins), golds)])
            scores.append(Scores(str(path), f"scores:{number}"))
        return Choice(
            runs=tmp_path,
            trials=tuple(Model(str(folder / "model"), f"trial:{number}") for number, folder in enumerate(folders)),
            scores=tuple(scores),
            examples=on_disk(examples, "validation"),
            values=[{"learning_rate": 10.0**-number} for number in range(len(trials))],
            of="student",
            run_name="tiny-student",
            **fields,
        )

    return make


def margins(examples: Sequence[Example], right: int, size: float = 1.0) -> list[float]:
    """Right on so many of the first examples, wrong on the others, by the same margin everywhere."""
    signs = [1 if example.gold == 0 else -1 for example in examples]
    return [size * sign * (1 if number < right else -1) for number, sign in enumerate(signs)]


def test_the_lowest_loss_is_chosen(
    examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage
) -> None:
    counts = run_stage(choice_of([margins(examples, right) for right in (20, 34, 30)]))
    assert (counts["chosen"], counts["chosen_by"], counts["n_validation"]) == (1, "truth", 40)
    # Of the training that was chosen, what reports ask for of any training.
    assert (counts["examples"], counts["steps"]) == (300, 11)
    # At the best temperature the softmax says how often the trial is right: the entropy of that, in nats.
    for trial, right in zip(counts["trials"], (20, 34, 30), strict=True):
        share = right / 40
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        assert trial["validation_loss"] == pytest.approx(entropy, abs=1e-9)
        assert trial["validation_accuracy"] == trial["validation_agreement"] == share
    # Where trial 1 is right its loss is -log(0.85), else -log(0.15); of trial 2 with 0.75 and 0.25.
    one = np.where(np.arange(40) < 34, -math.log(0.85), -math.log(0.15))
    other = np.where(np.arange(40) < 30, -math.log(0.75), -math.log(0.25))
    beside = counts["trials"][2]
    assert beside["behind"] == pytest.approx((other - one).mean(), abs=1e-9)
    # Over groups: what varies are the sums of each group's differences less the mean.
    away, names = other - one - (other - one).mean(), [example.group for example in examples]
    sums = [sum(away[[name == group for name in names]]) for group in sorted(set(names))]
    variance = len(sums) / (len(sums) - 1) * sum(number**2 for number in sums) / 40**2
    assert beside["behind_half_width"] == pytest.approx(1.959964 * math.sqrt(variance), abs=1e-6)
    assert counts["trials"][1]["behind"] == counts["trials"][1]["behind_half_width"] == 0
    assert [trial["values"] for trial in counts["trials"]] == [{"learning_rate": 10.0**-n} for n in range(3)]


def test_of_equal_ones_the_first_is_chosen_and_how_sure_they_are_does_not_count(
    examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage
) -> None:
    even = choice_of([margins(examples, 20), margins(examples, 30), margins(examples, 30)])
    assert run_stage(even)["chosen"] == 1
    surer = dataclasses.replace(even, scores=(even.scores[0], even.scores[1], even.scores[1]))
    write_predictions(
        Path(surer.scores[0].path),
        [
            Predictions(
                tuple(example.id for example in examples),
                tuple((margin, 0.0) for margin in margins(examples, 31, size=50.0)),
                tuple(example.gold for example in examples),
            )
        ],
    )
    other = dataclasses.replace(surer, scores=(Scores(surer.scores[0].path, "surer"), *surer.scores[1:]))
    assert run_stage(other)["chosen"] == 0


def test_by_labels_without_a_look_at_the_truth(
    examples: list[Example],
    choice_of: Callable[..., Choice],
    labelled_by: Callable[..., Labels],
    run_stage: RunStage,
) -> None:
    # The supervisor is wrong on the last half: a student that follows it everywhere is chosen.
    follows, knows = margins(examples, 20), margins(examples, 36)
    labels = labelled_by(examples, [0.9 if margin > 0 else 0.1 for margin in follows], "validation_labels")
    counts = run_stage(choice_of([knows, follows], labels=labels))
    assert (counts["chosen"], counts["chosen_by"]) == (1, "labels")
    assert [trial["validation_agreement"] for trial in counts["trials"]] == [24 / 40, 1.0]
    assert [trial["validation_accuracy"] for trial in counts["trials"]] == [36 / 40, 20 / 40]


def test_labels_of_other_examples_are_refused(
    examples: list[Example], choice_of: Callable[..., Choice], labelled_by: Callable[..., Labels], run_stage: RunStage
) -> None:
    labels = labelled_by(examples[:-1], [0.9] * 39, "too_few")
    with pytest.raises(DataError, match=r"too_few.parquet: do not fit the 40 examples(.|\n)*'e39': no label"):
        run_stage(choice_of([margins(examples, 30)] * 2, labels=labels))


def test_what_was_chosen_lies_there_once_and_under_a_card_of_its_own(
    examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage
) -> None:
    stage = choice_of([margins(examples, 20), margins(examples, 30)])
    run_stage(stage)
    taken = Path(stage.trials[1].path).parent
    for name in ("model", "adapter"):
        assert (stage.folder / name / "model.safetensors").samefile(taken / name / "model.safetensors")
        assert not (stage.folder / name).is_symlink()
    card = (stage.folder / "model" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---") and "# tiny-student" in card and "base/model" in card
    assert "rate 0.1; of 2 trials, by the truth of 40 validation examples" in card
    assert (taken / "model" / "README.md").read_text(encoding="utf-8") == "card of trial 1"
    # What one of the two is given later, the other one does not have.
    write_text(taken / "model" / "README.md", "another")
    assert (stage.folder / "model" / "README.md").read_text(encoding="utf-8") == card
    # The facts are those of the training, in the role of the one that was chosen.
    facts = gather(stage.folder, {"packages": {}, **StageFolder(stage.folder).manifest()})
    assert (facts.config["of"], facts.config["run_name"], facts.config["seed"]) == ("student", "tiny-student", 3)
    assert facts.folder == stage.folder.name


def test_its_config_has_options_on_their_own(choice_of: Callable[..., Choice], examples: list[Example]) -> None:
    """As that of a training, where whoever reads it looks for them."""
    config = choice_of([margins(examples, 20)], options={"max_length": 64}).config()
    assert config["max_length"] == 64 and "options" not in config


@pytest.mark.parametrize("keep", ["weak_validation", "end"])
def test_a_card_says_what_was_kept_of_the_training_that_was_chosen(
    keep: str, examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage
) -> None:
    stage = choice_of([margins(examples, 20), margins(examples, 30)])
    taken = Path(stage.trials[1].path).parent
    config = yaml.safe_load((taken / "config.yaml").read_text(encoding="utf-8"))
    (taken / "config.yaml").write_text(yaml.safe_dump({**config, "keep": keep}), encoding="utf-8")
    run_stage(stage)
    run = stage.root / "run"
    run.mkdir()
    planned = {"stage": "choice", "of": "student", "method": "naive", "seed": 3, "folder": str(stage.folder)}
    write_signed(run / "plan.json", {"stages": [planned]})
    (run / "recipe.yaml").write_text("name: run\n", encoding="utf-8")
    (run / "report.json").write_text("[]", encoding="utf-8")
    (use,) = find_uses(stage.folder, stage.root)
    assert use.stopped == (keep == "weak_validation")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk, which no hard link reaches."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def test_from_another_disk_it_is_copied(
    examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage, elsewhere: Path
) -> None:
    stage = choice_of([margins(examples, 20), margins(examples, 30)], elsewhere)
    run_stage(stage)
    file = stage.folder / "model" / "model.safetensors"
    assert file.read_text(encoding="utf-8") == "model of trial 1"
    assert not file.samefile(Path(stage.trials[1].path) / "model.safetensors")


def test_a_linear_model_is_a_file(
    examples: list[Example], choice_of: Callable[..., Choice], run_stage: RunStage
) -> None:
    stage = choice_of([margins(examples, 20), margins(examples, 30)])
    files = []
    for trial in stage.trials:
        folder = Path(trial.path).parent
        (folder / "probe.safetensors").write_text(folder.name, encoding="utf-8")
        files.append(Model(str(folder / "probe.safetensors"), f"{trial.identity}/probe"))
    linear = dataclasses.replace(stage, trials=tuple(files))
    run_stage(linear)
    assert Path(linear.model.path).name == "probe.safetensors"
    assert Path(linear.model.path).samefile(files[1].path) and not (linear.folder / "model").exists()


def test_what_enters_the_hash(examples: list[Example], choice_of: Callable[..., Choice]) -> None:
    stage = choice_of([margins(examples, 20), margins(examples, 30)])
    same = [{"values": []}, {"run_name": "x"}, {"options": {"push_to_hub": True}}, {"of": "weak"}]
    assert {dataclasses.replace(stage, **changes).hash for changes in same} == {stage.hash}
    turned = {"trials": stage.trials[::-1], "scores": stage.scores[::-1]}
    others = [turned, {"labels": Labels("x", "y")}, {"examples": Examples(stage.examples.path, "z")}]
    assert len({stage.hash, *(dataclasses.replace(stage, **changes).hash for changes in others)}) == 4
