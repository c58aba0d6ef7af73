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

import chess
import pytest

from w2s_rm.cli import main
from w2s_rm.errors import ConfigError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import run_plan

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "trl", "datasets")
MAIN = f"""
import contextlib, io, json, sys
from w2s_rm.cli import main
for line in sys.stdin:
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        code = main(json.loads(line))
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([code, errors.getvalue(), loaded]), flush=True)
"""
HOLD = """
import sys
from pathlib import Path
from w2s_rm.runs.folder import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
ROWS = [{"prompt": f"p{n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(60)]
LABELS = [{**row, "chosen_probability": 0.9} for row in ROWS]


Run = Callable[..., str]


def arguments(recipe: Path, *overrides: str) -> list[str]:
    return ["run", str(recipe), "--runs", str(recipe.parent / "runs"), *overrides]


def message_of(code: int, errors: str) -> str:
    """The message of a run that must fail."""
    assert code == 2, errors
    assert "Traceback" not in errors
    assert errors.count("error: ") == 1
    return errors.split("error: ")[1]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a recipe that must fail without anything heavy; return its message. One process runs one after the other."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run(recipe: Path, *overrides: str) -> str:
        stdin.write(json.dumps(arguments(recipe, *overrides)) + "\n")
        stdin.flush()
        code, errors, loaded = json.loads(stdout.readline())
        assert loaded == []
        return message_of(code, errors)

    with process:
        yield run


def written(recipe: Path) -> list[str]:
    """All files below `runs/`, hashes cut."""
    runs = recipe.parent / "runs"
    files = (path.relative_to(runs).as_posix() for path in runs.rglob("*") if path.is_file())
    return sorted("/".join(part.split("-")[0] for part in file.split("/")) for file in files)


BEGUN = ["small/.lock", "small/plan.json", "small/recipe.yaml"]
PREPARE_BEGUN = [*BEGUN, "stages/prepare/.lock", "stages/prepare/config.yaml", "stages/prepare/progress.json"]
PREPARED = [
    *BEGUN,
    "stages/prepare/.lock",
    "stages/prepare/check.json",
    "stages/prepare/config.yaml",
    *(f"stages/prepare/examples/{split}.parquet" for split in ("relabel", "test", "unused", "validation", "weak")),
    "stages/prepare/manifest.json",
    "stages/prepare/progress.json",
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
def test_bad_data(run: Run, recipe_file: Path, content: str, words: list[str]) -> None:
    (recipe_file.parent / "pairs.jsonl").write_text(content, encoding="utf-8")
    message = run(recipe_file)
    assert all(word in message for word in words), message
    assert written(recipe_file) == PREPARE_BEGUN


def test_all_bad_rows_are_named(run: Run, recipe_file: Path) -> None:
    bad = [{**row, "rejected": row["chosen"]} if number in (3, 8) else row for number, row in enumerate(ROWS)]
    (recipe_file.parent / "pairs.jsonl").write_text(lines(bad), encoding="utf-8")
    message = run(recipe_file)
    assert "2 rows cannot be used" in message and "pairs.jsonl:4" in message and "pairs.jsonl:9" in message


def test_truncated_gzip(run: Run, recipe_file: Path) -> None:
    whole = gzip.compress(lines(ROWS * 20).encode(), mtime=0)
    (recipe_file.parent / "pairs.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    message = run(recipe_file, f"task.path={recipe_file.parent}/pairs.jsonl.gz")
    assert "pairs.jsonl.gz:" in message and "truncated" in message
    assert written(recipe_file) == PREPARE_BEGUN


def test_mistakes_of_the_plan_write_nothing(run: Run, recipe_file: Path) -> None:
    message = run(recipe_file, "task.path=nowhere.jsonl", "strong.model_name_or_path=./nowhere")
    assert "nowhere.jsonl: no such file" in message and "'./nowhere': no such folder" in message
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
def test_bad_labels(run: Run, recipe_file: Path, content: str, words: list[str]) -> None:
    (recipe_file.parent / "labels.jsonl").write_text(content, encoding="utf-8")
    message = run(recipe_file, f"weak={{labels: {recipe_file.parent}/labels.jsonl}}")
    assert "labels.jsonl" in message and all(word in message for word in words), message
    relabel = [f"stages/relabel/{name}" for name in (".lock", "config.yaml", "progress.json")]
    assert written(recipe_file) == [*PREPARED, *relabel]


def test_everything_about_models_at_once(
    recipe_file: Path, tiny_tokenizer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_tokenizer(pad=None, eos=None).save_pretrained(recipe_file.parent / "models" / "weak")
    tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / "strong")
    gpus = recipe_file.parent / "gpus.yaml"
    gpus.write_text("distributed_type: MULTI_GPU\nnum_processes: 4096\n", encoding="utf-8")
    accelerate = (f"strong.accelerate_config={gpus}", "weak.accelerate_config=cpu_ddp")
    message = message_of(main(arguments(recipe_file, *accelerate)), capsys.readouterr().err)
    assert "accelerate_config gpus.yaml asks for 4096 GPUs on this machine, " in message
    assert "weak: the tokenizer of" in message and "neither a pad nor an eos token" in message
    assert "strong: " not in message
    assert written(recipe_file) == PREPARED, "no model was loaded: what these folders hold are no weights"


def test_an_option_that_the_trainer_refuses(recipe_file: Path, tiny_tokenizer: Callable[..., Any]) -> None:
    for name in ("weak", "strong"):
        tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / name)
    recipe = load_recipe(recipe_file, ["train.bf16=true", "train.fp16=true"])
    with pytest.raises(ConfigError, match="weak, strong: train: At most one of fp16 and bf16"):
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


def test_a_run_in_use(run: Run, recipe_file: Path) -> None:
    folder = recipe_file.parent / "runs" / "small"
    with held(folder) as pid:
        message = run(recipe_file)
    assert f"{folder} is in use by process {pid} on " in message and "wait for it or stop it" in message
    assert written(recipe_file) == ["small/.lock"]


def test_a_stage_in_use(run: Run, recipe_file: Path) -> None:
    stage = make_plan(load_recipe(recipe_file), recipe_file.parent / "runs").stages[0]
    with held(stage.folder) as pid:
        message = run(recipe_file)
    assert f"{stage.folder} is in use by process {pid} on " in message
    assert written(recipe_file) == [*BEGUN, "stages/prepare/.lock"]


def refused(recipe: Path, capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """Run a recipe that must fail, in this process; return its one message."""
    assert main(["run", str(recipe), "--runs", str(recipe.parent / "runs"), *overrides]) == 2
    shown = capsys.readouterr().err
    assert shown.count("error: ") == 1
    return shown.split("error: ")[1]


def task_of(recipe: Path, name: str, file: str, content: str, **options: Any) -> str:
    (recipe.parent / file).write_text(content, encoding="utf-8")
    given = {"name": name, "path": str(recipe.parent / file), "n_train": 8, "n_test": 4, **options}
    return f"task={json.dumps(given)}"


TEXTS = [{"text": f"text {n}", "label": n % 2} for n in range(60)]
QUESTIONS = [{"question": f"q{n}", "choices": [f"a{n}", f"b{n}"], "label": n % 2} for n in range(60)]


@pytest.mark.parametrize(
    ("name", "rows", "change", "words"),
    [
        ("text_classification", TEXTS, {"label": 2}, ["label 2 in 'label' is outside 0, 1, no, yes"]),
        ("text_classification", TEXTS, {"label": "maybe"}, ["label 'maybe' in 'label' is outside"]),
        ("text_classification", TEXTS, {"text": " "}, ["'text' is empty"]),
        ("multiple_choice", QUESTIONS, {"choices": ["one"], "label": 0}, ["a question with 1 answers"]),
        ("multiple_choice", QUESTIONS, {"choices": ["same", "same"]}, ["two equal answers"]),
        ("multiple_choice", QUESTIONS, {"label": 2}, ["label 2 in 'label' is none of the 2 answers"]),
    ],
    ids=["label", "label text", "blank", "one answer", "equal answers", "no such answer"],
)
def test_bad_questions(
    recipe_file: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    rows: list[dict[str, Any]],
    change: dict[str, Any],
    words: list[str],
) -> None:
    content = with_row({**rows[6], **change}, rows)
    message = refused(recipe_file, capsys, task_of(recipe_file, name, "rows.jsonl", content))
    assert "rows.jsonl:7: " in message and "1 rows cannot be used" in message
    assert all(word in message for word in words), message
    assert written(recipe_file) == PREPARE_BEGUN


def test_all_bad_questions_are_named(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [{**row, "label": 7} if number in (3, 8) else row for number, row in enumerate(TEXTS)]
    message = refused(recipe_file, capsys, task_of(recipe_file, "text_classification", "rows.jsonl", lines(bad)))
    assert "2 rows cannot be used" in message and "rows.jsonl:4: " in message and "rows.jsonl:9: " in message


def test_classes_that_cannot_be_balanced(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "label": int(number < 8)} for number, row in enumerate(TEXTS)]
    task = task_of(recipe_file, "text_classification", "rows.jsonl", lines(rows), n_train=40, n_test=10)
    message = refused(recipe_file, capsys, task)
    assert "text_classification: too few for the splits (60 examples" in message
    assert "when balanced), 20 needed" in message
    assert written(recipe_file) == PREPARE_BEGUN


def test_another_column(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = "".join(f"text {n},{n % 2}\n" for n in range(60))
    task = task_of(recipe_file, "text_classification", "rows.csv", "sentence,label\n" + content)
    message = refused(recipe_file, capsys, task)
    assert "rows.csv" in message and "no column 'text'" in message
    assert written(recipe_file) == PREPARE_BEGUN


PUZZLE_COLUMNS = "PuzzleId,FEN,Moves,Rating,Themes"


def puzzles(count: int = 40) -> list[str]:
    """Puzzles in Lichess's columns: Black's king goes from h8 to g8, then the rook gives check on the last rank."""
    rows = []
    for number in range(count):
        rank, file = 2 + number % 5, "abcde"[number // 5 % 5]
        king = "abcdefgh"[number // 25 * 2]
        board = chess.Board(None)
        board.set_piece_at(chess.parse_square(f"{file}{rank}"), chess.Piece.from_symbol("R"))
        board.set_piece_at(chess.parse_square(f"{king}1"), chess.Piece.from_symbol("K"))
        board.set_piece_at(chess.H8, chess.Piece.from_symbol("k"))
        board.turn = chess.BLACK
        rows.append(f"p{number},{board.fen()},h8g8 {file}{rank}{file}8,1500,short")
    return rows


def puzzle_task(recipe: Path, rows: list[str], columns: str = PUZZLE_COLUMNS, **options: Any) -> str:
    return task_of(recipe, "lichess_puzzles", "puzzles.csv", "\n".join([columns, *rows, ""]), **options)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("odd,8/8/8/x/8/8/8/8 w - - 0 1,h8g8 a2a8,1500,short", ["puzzle odd", "does not parse"]),
        ("odd,8/8/8/8/8/8/8/8 w - - 0 1,h8g8 a2a8,1500,short", ["puzzle odd", "is no legal position"]),
        ("odd,7k/8/8/8/8/8/R7/K7 b - - 0 1,h8h6 a2a8,1500,short", ["puzzle odd", "ply 1, h8h6, is illegal in 7k/8/8"]),
        ("odd,7k/8/8/8/8/8/R7/K7 b - - 0 1,h8g8 a2b3,1500,short", ["puzzle odd", "ply 2, a2b3, is illegal in "]),
        ("odd,7k/8/8/8/8/8/R7/K7 b - - 0 1,h8g8,1500,short", ["puzzle odd", "needs the opponent's move"]),
    ],
    ids=["fen", "position", "first move", "line", "no solution"],
)
def test_bad_puzzles(recipe_file: Path, capsys: pytest.CaptureFixture[str], row: str, words: list[str]) -> None:
    rows = puzzles()
    message = refused(recipe_file, capsys, puzzle_task(recipe_file, [*rows[:6], row, *rows[6:]]))
    assert "puzzles.csv:8: " in message and "1 rows cannot be used" in message
    assert all(word in message for word in words), message
    assert written(recipe_file) == PREPARE_BEGUN


def test_puzzles_in_other_columns(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = PUZZLE_COLUMNS.replace("FEN", "Position")
    message = refused(recipe_file, capsys, puzzle_task(recipe_file, puzzles(), columns))
    assert "puzzles.csv" in message and "no column 'FEN'" in message
    assert written(recipe_file) == PREPARE_BEGUN


def test_a_tokenizer_that_cannot_write_the_moves(
    recipe_file: Path, capsys: pytest.CaptureFixture[str], tiny_tokenizer: Callable[..., Any]
) -> None:
    for name in ("weak", "strong"):
        tiny_tokenizer().save_pretrained(recipe_file.parent / "models" / name)
    recipe = puzzle_task(recipe_file, puzzles())
    message = refused(recipe_file, capsys, recipe, "head=lm", "train.bf16=false", "seeds=[0]")
    assert "cannot write these candidates; use another one" in message and "models/" in message
    assert "example '" in message and "has words that are not in the vocabulary" in message
    manifests = [name for name in written(recipe_file) if name.endswith("manifest.json")]
    assert manifests == ["stages/prepare/manifest.json"]
    assert not [name for name in written(recipe_file) if name.endswith((".tmp", "predictions.parquet"))]


def test_a_head_that_the_task_has_not(recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = task_of(recipe_file, "multiple_choice", "rows.jsonl", lines(QUESTIONS))
    assert "head classification needs fixed classes" in refused(recipe_file, capsys, task, "head=classification")
    assert "'scalar' is no head of setting classification" in refused(recipe_file, capsys, task, "head=scalar")
    assert not (recipe_file.parent / "runs").exists()
