"""`w2s-rm run` on bad input: one message that says where and why, exit code 2, nothing half-written, no torch."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import run_plan

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "trl", "datasets")
MAIN = f"""
import sys
from w2s_rm.cli import main
code = main(sys.argv[1:])
print("loaded:", *[name for name in {HEAVY} if name in sys.modules])
sys.exit(code)
"""
HOLD = """
import sys
from pathlib import Path
from w2s_rm.experiment.artifacts import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
ROWS = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(60)]
LABELS = [{**row, "chosen_probability": 0.9} for row in ROWS]


def run(recipe: Path, *overrides: str) -> tuple[str, str]:
    """Run a recipe that must fail; return its message and what was imported."""
    process = subprocess.run(
        [sys.executable, "-c", MAIN, "run", str(recipe), "--runs", str(recipe.parent / "runs"), *overrides],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.count("error: ") == 1
    return process.stderr.split("error: ")[1], process.stdout


def written(recipe: Path) -> list[str]:
    """All files below `runs/`, hashes cut."""
    runs = recipe.parent / "runs"
    files = (path.relative_to(runs).as_posix() for path in runs.rglob("*") if path.is_file())
    return sorted("/".join(part.split("-")[0] for part in file.split("/")) for file in files)


BEGUN = ["small/.lock", "small/plan.json", "small/recipe.yaml"]
PREPARE_BEGUN = [*BEGUN, "stages/prepare/.lock", "stages/prepare/config.yaml"]
PREPARED = [
    *BEGUN,
    "stages/prepare/.lock",
    "stages/prepare/config.yaml",
    *(f"stages/prepare/examples/{split}.parquet" for split in ("relabel", "test", "unused", "validation", "weak")),
    "stages/prepare/manifest.json",
]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def with_row(row: dict[str, Any], rows: list[dict[str, Any]] = ROWS) -> str:
    return lines([*rows[:6], row, *rows[7:]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines(ROWS[:6]) + '{"prompt": "x", \n' + lines(ROWS[7:]), ["pairs.jsonl:7: broken JSON"]),
        (with_row({"prompt": "x", "chosen": "y"}), ["pairs.jsonl:7", "no column 'rejected'"]),
        (
            with_row({"prompt": "x", "chosen": "y", "rejected": "  "}),
            ["1 rows cannot be used", "pairs.jsonl:7: response 2 is empty"],
        ),
        (with_row({"prompt": "x", "chosen": "y", "rejected": "y"}), ["pairs.jsonl:7: the responses are identical"]),
        (with_row({"prompt": "x", "chosen": "y", "rejected": None}), ["pairs.jsonl:7: 'rejected' is empty (null)"]),
        (with_row({"prompt": "x", "chosen": "y", "rejected": 3}), ["pairs.jsonl:7: 'rejected' is int"]),
        (lines(ROWS[:9]), ["too few for the splits (9 examples in 9 groups", "these sizes fit: n_train"]),
        ("", ["pairs.jsonl: holds no rows"]),
    ],
    ids=["broken", "column", "blank", "identical", "null", "type", "few", "empty"],
)
def test_bad_data(recipe_file: Path, content: str, words: list[str]) -> None:
    (recipe_file.parent / "pairs.jsonl").write_text(content, encoding="utf-8")
    message, loaded = run(recipe_file)
    assert all(word in message for word in words), message
    assert loaded == "loaded:\n"
    assert written(recipe_file) == PREPARE_BEGUN


def test_all_bad_rows_are_named(recipe_file: Path) -> None:
    bad = [{**row, "rejected": row["chosen"]} if number in (3, 8) else row for number, row in enumerate(ROWS)]
    (recipe_file.parent / "pairs.jsonl").write_text(lines(bad), encoding="utf-8")
    message, _ = run(recipe_file)
    assert "2 rows cannot be used" in message and "pairs.jsonl:4" in message and "pairs.jsonl:9" in message


def test_truncated_gzip(recipe_file: Path) -> None:
    whole = gzip.compress(lines(ROWS * 20).encode(), mtime=0)
    (recipe_file.parent / "pairs.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    message, loaded = run(recipe_file, f"task.path={recipe_file.parent}/pairs.jsonl.gz")
    assert "pairs.jsonl.gz:" in message and "truncated" in message
    assert loaded == "loaded:\n"
    assert written(recipe_file) == PREPARE_BEGUN


def test_mistakes_of_the_plan_write_nothing(recipe_file: Path) -> None:
    message, loaded = run(recipe_file, "task.path=nowhere.jsonl", "strong.model_name_or_path=./nowhere")
    assert "nowhere.jsonl: no such file" in message and "'./nowhere': no such folder" in message
    assert loaded == "loaded:\n"
    assert not (recipe_file.parent / "runs").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines(LABELS[:-30]), ["do not fit the ", ": no label"]),
        (lines([*LABELS, LABELS[4]]), [": 2 labels"]),
        (
            lines([*LABELS, {"prompt": "q", "chosen": "y", "rejected": "z", "chosen_probability": 1}]),
            ["unknown, no exam"],
        ),
        (lines([{**row, "chosen_probability": float("nan")} for row in LABELS]), ["nan"]),
        (lines([{**row, "chosen_probability": 1.5} for row in LABELS]), ["probability 1.5 is not in [0, 1]"]),
        (
            lines([{**row, "chosen_probability": "high"} for row in LABELS]),
            ["labels.jsonl:1: chosen_probability holds 'high'"],
        ),
        (lines(ROWS), ["not a file of labels; needs the columns (id, "]),
        (lines(LABELS)[:-20], ["labels.jsonl:60: broken JSON"]),
    ],
    ids=["missing", "duplicate", "unknown", "nan", "range", "text", "form", "broken"],
)
def test_bad_labels(recipe_file: Path, content: str, words: list[str]) -> None:
    (recipe_file.parent / "labels.jsonl").write_text(content, encoding="utf-8")
    message, loaded = run(recipe_file, f"weak={{labels: {recipe_file.parent}/labels.jsonl}}")
    assert "labels.jsonl" in message and all(word in message for word in words), message
    assert loaded == "loaded:\n"
    assert written(recipe_file) == [*PREPARED, "stages/relabel/.lock", "stages/relabel/config.yaml"]


def test_everything_about_models_at_once(recipe_file: Path, tiny_tokenizer: Callable[..., Any]) -> None:
    tiny_tokenizer(pad=None, eos=None).save_pretrained(recipe_file.parent / "models" / "weak")
    tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / "strong")
    gpus = recipe_file.parent / "gpus.yaml"
    gpus.write_text("distributed_type: MULTI_GPU\nnum_processes: 4096\n", encoding="utf-8")
    accelerate = (f"strong.accelerate_config={gpus}", "weak.accelerate_config=cpu_ddp")
    message, _ = run(recipe_file, "methods.logconf.loss.max_weight=7", *accelerate)
    assert "accelerate_config gpus.yaml asks for 4096 GPUs on this machine, " in message
    assert "methods.logconf.loss: loss 'log_confidence'" in message and "\n    - max_weight is 7; give " in message
    assert "weak: the tokenizer of" in message and "neither a pad nor an eos token" in message
    assert "strong: " not in message
    assert written(recipe_file) == PREPARED, "no model was loaded: what these folders hold are no weights"


def test_an_option_that_the_trainer_refuses(recipe_file: Path, tiny_tokenizer: Callable[..., Any]) -> None:
    for name in ("weak", "strong"):
        tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / name)
    recipe = load_recipe(recipe_file, ["train.bf16=false", "train.save_strategy=sometimes"])
    with pytest.raises(ConfigError, match="train: sometimes is not a valid SaveStrategy"):
        run_plan(make_plan(recipe, recipe_file.parent / "runs"), lambda _: None)
    assert written(recipe_file) == PREPARED


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold a folder in another process, as a live run does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def test_a_run_in_use(recipe_file: Path) -> None:
    folder = recipe_file.parent / "runs" / "small"
    with held(folder) as pid:
        message, loaded = run(recipe_file)
    assert f"{folder} is in use by process {pid} on " in message and "wait for it or stop it" in message
    assert loaded == "loaded:\n"
    assert written(recipe_file) == ["small/.lock"]


def test_a_stage_in_use(recipe_file: Path) -> None:
    stage = make_plan(load_recipe(recipe_file), recipe_file.parent / "runs").stages[0]
    with held(stage.folder) as pid:
        message, loaded = run(recipe_file)
    assert f"{stage.folder} is in use by process {pid} on " in message
    assert loaded == "loaded:\n"
    assert written(recipe_file) == [*BEGUN, "stages/prepare/.lock"]
