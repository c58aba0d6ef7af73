"""`w2s-rm export`: a finished run's examples, relabelled by its labels or by a reward model, as a dataset for DPO."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from w2s_rm import cli
from w2s_rm.data.examples import write_examples
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.files import read_signed, write_signed
from w2s_rm.integrations.reward_model import load_reward_model
from w2s_rm.integrations.scorer import Scorer
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Example

EXAMPLES = [Example(f"e{n}", f"g{n}", f"w5 w{n}", (f" w{n} w6", f" w{n + 1} w7"), 0) for n in range(10, 16)]
FIRST = [0.9, 0.2, 0.5, 0.6, 0.99, 0.3]
OTHERS = [Example(f"t{n}", f"t{n}", f"w8 w{n}", (f" w{n} w6", f" w{n + 1} w7"), 0) for n in range(20, 24)]


@pytest.fixture
def run(tmp_path: Path, tiny_model: Callable[..., str]) -> Path:
    """A finished run with two methods and two seeds, as `w2s-rm run` leaves it; models of two kinds."""
    stages: list[dict[str, Any]] = []

    def add(stage: str, of: str | None = None, method: str | None = None, seed: int | None = None) -> Path:
        folder = tmp_path / "runs" / "stages" / f"{stage}-{of}-{method}-{seed}"
        folder.mkdir(parents=True)
        StageFolder(folder).seal({"counts": {}})
        stages.append({"stage": stage, "of": of, "method": method, "seed": seed, "folder": str(folder)})
        return folder

    prepare = add("prepare")
    for split, part in {"relabel": EXAMPLES, "test": OTHERS, "unused": []}.items():
        write_examples(prepare / "examples" / f"{split}.parquet", part)
    for seed, shift in ((0, 0.0), (1, 0.05)):
        labels = [
            WeakLabel(example.id, example.candidate_ids, (p - shift, 1 - p + shift))
            for example, p in zip(EXAMPLES, FIRST, strict=True)
        ]
        write_labels(add("relabel", "labels", None, seed) / "weak_labels.parquet", labels)
        for of, method, kind in (
            ("weak", None, "llama"),
            ("student", "naive", "mistral"),
            ("student", "logconf", "llama"),
        ):
            model = tmp_path / "runs" / "stages" / f"{of}-{method}-{seed}" / "model"
            shutil.copytree(tiny_model(kind), model)
            config = {"model_name_or_path": str(model), "max_length": 64, "bf16": False}
            place = add("evaluate", of, method, seed) / "config.yaml"
            place.write_text(yaml.safe_dump(config), encoding="utf-8")
    content = {
        "recipe": "small", "setting": "reward_modeling", "task": "preference", "head": "reward",
        "weak_model": "w", "strong_model": "s",
        "supervisor": "model", "seeds": [0, 1], "methods": ["naive", "logconf"], "stages": stages,
    }  # fmt: skip
    folder = tmp_path / "runs" / "small"
    folder.mkdir()
    write_signed(folder / "plan.json", content)
    return folder


def test_weak_labels(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(run), "--to", "dpo"]) == 0
    assert capsys.readouterr().out == f"5 pairs of 6 examples; dropped: ties 1\n{run / 'dpo-relabel'}\n"
    saved = datasets.load_from_disk(str(run / "dpo-relabel"))
    assert saved.column_names == ["id", "prompt", "chosen", "rejected", "chosen_probability", "margin"]
    assert saved["id"][:] == ["e10", "e11", "e13", "e14", "e15"]
    assert saved[0]["chosen"] == " w10 w6" and saved[1]["chosen"] == " w12 w7"
    assert saved["chosen_probability"][:] == pytest.approx([0.9, 0.8, 0.6, 0.99, 0.7])
    assert saved[0]["margin"] == pytest.approx(math.log(9))
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_files_formats_and_filters(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pairs.jsonl", "pairs.parquet"):
        output = tmp_path / name
        options = ["--seed", "1", "--min-confidence", "0.8", "--format", "conversational", "--output", str(output)]
        assert cli.main(["export", str(run), "--to", "dpo", *options]) == 0
        assert capsys.readouterr().out.startswith("3 pairs of 6 examples; dropped: low confidence 3\n")
        kind = "json" if name.endswith("jsonl") else "parquet"
        rows = datasets.load_dataset(kind, data_files=str(output), split="train", cache_dir=str(tmp_path / "cache"))
        assert rows["id"][:] == ["e10", "e11", "e14"]
        assert rows[1]["prompt"] == [{"role": "user", "content": "w5 w11"}]
        assert rows[1]["rejected"] == [{"role": "assistant", "content": "w11 w6"}]
        assert rows[1]["chosen_probability"] == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--of", "weak"], "weak-None-0"),
        (["--of", "student", "--method", "naive", "--seed", "1"], "student-naive-1"),
        (["--model", "MODEL"], "student-naive-0"),
    ],
)
@pytest.mark.parametrize("split", ["relabel", "test"])
def test_reward_models(options: list[str], folder: str, split: str, run: Path) -> None:
    model = run.parent / "stages" / folder / "model"
    options = [str(model) if option == "MODEL" else option for option in options]
    assert cli.main(["export", str(run), "--to", "dpo", "--split", split, *options]) == 0
    examples = {"relabel": EXAMPLES, "test": OTHERS}[split]
    scores = Scorer(load_reward_model(str(model)), max_length=64, bf16=False).score_examples(examples)
    saved = datasets.load_from_disk(str(run / f"dpo-{split}"))
    assert len(saved) == len(examples)
    for row, example, values in zip(saved, examples, scores, strict=True):
        assert row["chosen"] == example.candidates[values.index(max(values))]
        assert row["margin"] == pytest.approx(max(values) - min(values), abs=1e-6)


def test_a_run_that_was_moved_and_a_file_of_labels(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    run.parent.rename(moved)
    assert cli.main(["export", str(moved / "small"), "--to", "dpo", "--of", "weak"]) == 0
    labels = moved / "stages" / "relabel-labels-None-1" / "weak_labels.parquet"
    output = str(tmp_path / "own.jsonl")
    assert cli.main(["export", str(moved / "small"), "--to", "dpo", "--labels", str(labels), "--output", output]) == 0
    first = json.loads(Path(output).read_text(encoding="utf-8").splitlines()[0])
    assert first["chosen_probability"] == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--split", "test"], "the run labelled the split relabel only; add --of weak"),
        (["--split", "unused", "--of", "weak"], "has no examples in split unused"),
        (["--split", "validation", "--of", "weak"], "validation.parquet: not a file of examples"),
        (["--of", "student"], "--of student needs --method; known: naive, logconf"),
        (["--of", "student", "--method", "naiv"], "--method naiv: no such method; did you mean 'naive'?"),
        (["--method", "naive"], "--method names a student; give --of student with it"),
        (["--of", "ceiling"], "has no stage evaluate ceiling for seed 0"),
        (["--of", "weak", "--seed", "7"], "--seed 7: the run has the seeds 0, 1"),
        (["--min-confidence", "0.999"], "no pair is left of split relabel (6 examples, 1 ties, 5 low_confidence"),
        (["--min-confidence", "2"], "min_confidence is 2.0"),
        (["--model", "nowhere/at/all"], "reward model 'nowhere/at/all': no such folder"),
        (["--labels", "plan.json"], "plan.json"),
    ],
)
def test_bad_input(
    options: list[str], text: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert cli.main(["export", ".", "--to", "dpo", *options]) == 2
    shown = capsys.readouterr()
    assert text in shown.err and not shown.out
    assert [path.name for path in run.iterdir()] == ["plan.json"]


def test_prompts_that_were_guessed_become_no_messages(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without marks nobody knows where the question ends and the answers begin."""
    task = {"name": "preference", "path": "x.jsonl", "prompt_column": ""}
    place = run.parent / "stages" / "prepare-None-None-None" / "config.yaml"
    place.write_text(yaml.safe_dump({"task": task}), encoding="utf-8")
    assert cli.main(["export", str(run), "--to", "dpo", "--format", "conversational"]) == 2
    shown = capsys.readouterr().err
    assert "no pair is left" in shown and "5 without_turns" in shown and "give --format text" in shown
    assert cli.main(["export", str(run), "--to", "dpo"]) == 0


def test_a_file_of_labels_is_no_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = read_signed(run / "plan.json")
    write_signed(run / "plan.json", {**plan, "supervisor": "labels"})
    assert cli.main(["export", str(run), "--to", "dpo", "--of", "weak"]) == 2
    assert "--of weak: the supervisor of run 'small' is a file of labels and no model" in capsys.readouterr().err
    assert cli.main(["export", str(run), "--to", "dpo", "--split", "test"]) == 2
    assert "give its file with --labels" in capsys.readouterr().err


def test_nothing_is_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        code = cli.main(["export", str(run), "--to", "dpo"])
    assert code == 2
    assert "dpo-relabel exists; remove it, or give another --output" in capsys.readouterr().err
    assert cli.main(["export", str(run.parent), "--to", "dpo"]) == 2
    assert "plan.json: not found; give the folder of a run" in capsys.readouterr().err


def test_models_and_labels_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["export", "run", "--to", "dpo", "--of", "weak", "--model", "x"])
    assert "not allowed with argument" in capsys.readouterr().err
