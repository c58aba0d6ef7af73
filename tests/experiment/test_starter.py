"""A starter recipe: every known form of data becomes one that `plan` takes, and what is missing is said."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chess
import pytest
import yaml

from w2s_rm import cli
from w2s_rm.data.splits import SplitSizes
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.starter import fitting_sizes, suggest_grouping
from w2s_rm.experiment.starter_text import run_name
from w2s_rm.programs.prepare import read_splits
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Example, Row

FORMS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    # File, a row by its number, and what the recipe says of it.
    "pairs": (
        "pairs.jsonl",
        lambda n: {"prompt": f"Tell {n}.", "chosen": f"Good {n}", "rejected": f"Bad {n}"},
        {
            "name": "preference",
            "prompt_column": "prompt",
            "chosen_column": "chosen",
            "rejected_column": "rejected",
            "separator": " ",
            "group_by": "prompt",
        },
    ),
    "pairs whose prompt is another column": (
        "pairs.jsonl",
        lambda n: {"instruction": f"Tell {n}.\n", "chosen": f"Good {n}", "rejected": f"Bad {n}"},
        {"name": "preference", "prompt_column": "instruction", "separator": None},
    ),
    "pairs without a prompt": (
        "pairs.csv",
        lambda n: {"chosen": f"Tell {n}. Good {n}", "rejected": f"Tell {n}. Bad {n}"},
        {"name": "preference", "prompt_column": "", "separator": None},
    ),
    "responses a and b": (
        "arena.jsonl",
        lambda n: {"prompt": f"Q{n} ", "response_a": f"x{n}", "response_b": f"y{n}", "winner": "ab"[n % 2]},
        {"response_a_column": "response_a", "response_b_column": "response_b", "preferred_column": "winner"},
    ),
    "conversations as ShareGPT has them": (
        "talk.jsonl",
        lambda n: {
            "chosen": [{"from": "human", "value": f"Q{n}"}, {"from": "gpt", "value": "yes"}],
            "rejected": [{"from": "human", "value": f"Q{n}"}, {"from": "gpt", "value": "no"}],
        },
        {"name": "preference", "roles": "sharegpt", "prompt_column": ""},
    ),
    "Anthropic's transcripts": (
        "hh.jsonl",
        lambda n: {
            "chosen": f"\n\nHuman: Tell {n}?\n\nAssistant: good",
            "rejected": f"\n\nHuman: Tell {n}?\n\nAssistant: bad",
        },
        {"name": "anthropic_hh"},
    ),
    "texts with classes 0 and 1": (
        "tickets.csv",
        lambda n: {"message": f"please help {n}", "label": n % 2, "customer": f"c{n % 50}"},
        {
            "name": "text_classification",
            "text_column": "message",
            "label_column": "label",
            "class_names": ["no", "yes"],
            "group_column": None,
        },
    ),
    "texts with named classes": (
        "mood.jsonl",
        lambda n: {"id": n, "text": f"it is {n}", "sentiment": ("Negative", "positive", "neutral")[n % 3]},
        {"label_column": "sentiment", "class_names": ["negative", "neutral", "positive"]},
    ),
    "texts with one to three stars": (
        "stars.jsonl",
        lambda n: {"review": f"it is {n}", "class": 1 + n % 3},
        {"label_column": "class", "class_names": ["1", "2", "3"]},
    ),
    "pairs of texts with three numbered classes": (
        "nli.jsonl",
        lambda n: {"premise": f"there are {n}", "hypothesis": f"some of {n}", "label": n % 3},
        {
            "text_column": "premise",
            "text_pair_column": "hypothesis",
            "class_names": ["class 0", "class 1", "class 2"],
        },
    ),
    "questions with a list of answers": (
        "quiz.jsonl",
        lambda n: {"passage": f"About {n // 4}", "question": f"Which {n}?", "choices": ["a1", "b2", "c3"], "answer": 1},
        {
            "name": "multiple_choice",
            "question_column": "question",
            "choices_column": "choices",
            "label_column": "answer",
            "label_is": "index",
            "context_column": "passage",
        },
    ),
    "questions with a column for each answer": (
        "quiz.csv",
        lambda n: {"question": f"Which {n}?", "A": "silk", "B": "honey", "C": "salt", "answer": "BC"[n % 2]},
        {"choice_columns": ["A", "B", "C"], "label_column": "answer", "label_is": "letter"},
    ),
    "questions as ARC has them": (
        "arc.jsonl",
        lambda n: {
            "question": f"Which {n}?",
            "choices": {"text": ["silk", "honey"], "label": ["A", "B"]},
            "answerKey": "A",
        },
        {"choices_column": "choices", "label_column": "answerKey"},
    ),
}


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Options that name two folders without weights."""
    for role in ("weak", "strong"):
        (tmp_path / role).mkdir()
        (tmp_path / role / "config.json").write_text(json.dumps({"role": role, "num_hidden_layers": 6}))
        (tmp_path / role / "model.safetensors").touch()
    return ["--weak", "weak", "--strong", "strong"]


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, rows: list[dict[str, Any]]) -> None:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        if name.endswith(".csv"):
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_data_becomes_a_recipe_that_plans(
    form: str, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, row, expected = FORMS[form]
    write(name, [row(n) for n in range(300)])
    assert cli.main(["init", name, *models]) == 0
    assert capsys.readouterr().out.endswith("recipe.yaml\nnext: w2s-rm check recipe.yaml\n")
    content = yaml.safe_load(Path("recipe.yaml").read_text(encoding="utf-8"))
    task = content["task"]
    assert {option: task.get(option) for option in expected} == expected
    assert task["path"] == name and content["name"] == name.partition(".")[0]
    assert content["weak"]["model_name_or_path"] == "weak" and content["strong"]["model_name_or_path"] == "strong"
    assert cli.main(["plan", "recipe.yaml", "seeds=[0]"]) == 0
    recipe = load_recipe(Path("recipe.yaml"))
    _, splits = read_splits(recipe.task(), recipe.task_name, SplitSizes(**recipe.sizes))
    assert len(splits.test) == task["n_test"] >= 20
    assert len(splits.weak) + len(splits.relabel) == task["n_train"] == 4 * task["n_test"]
    assert not Path("runs").exists(), "planning writes nothing"


def test_puzzles(models: list[str]) -> None:
    write("puzzles.csv", list(puzzles(60)))
    assert cli.main(["init", "puzzles.csv", *models]) == 0
    text = Path("recipe.yaml").read_text(encoding="utf-8")
    task = yaml.safe_load(text)["task"]
    assert (task["name"], task["n_train"]) == ("lichess_puzzles", 4 * task["n_test"])
    assert "n_examples" not in task, "all puzzles of a file"
    assert "  # max_rating: 1500   # leaves harder puzzles out\n" in text
    assert cli.main(["plan", "recipe.yaml"]) == 0


def puzzles(count: int) -> Iterator[dict[str, Any]]:
    """Positions of random games, with two random moves each."""
    draw = random.Random(0)
    for n in range(count):
        board = chess.Board()
        for _ in range(10):
            board.push(draw.choice(list(board.legal_moves)))
        fen, line = board.fen(), []
        for _ in range(2):
            line.append(draw.choice(list(board.legal_moves)))
            board.push(line[-1])
        yield {"PuzzleId": n, "FEN": fen, "Moves": " ".join(move.uci() for move in line), "Rating": 600 + n}


@pytest.mark.parametrize(
    ("rows", "arguments", "texts"),
    [
        (
            [{"text": f"a text {n}", "other": "two words", "kind": "x"} for n in range(20)],
            [],
            ["columns: text, other, kind", "preference: no columns chosen and rejected: chosen_column=NAME"]
            + [
                "text_classification: no column with a label: label_column=NAME",
                "name=TASK: one of `w2s-rm list tasks`",
            ],
        ),
        (
            [{"scenario": f"a text {n}", "excuse": f"because {n}", "label": n % 2} for n in range(20)],
            [],
            ["several columns with texts (scenario, excuse): text_column=NAME, and text_pair_column=NAME for two"]
            + ["name=ethics_deontology: reads its first rows"],
        ),
        (
            [{"prompt": "Q ", "response_a": f"a {n}", "response_b": f"b {n}"} for n in range(20)],
            [],
            ["no column that says which response is better: preferred_column=NAME, or rating_columns=[A,B]"],
        ),
        (
            [{"question": f"which {n}", "choices": ["1", "0"], "label": 0} for n in range(20)],
            ["label_column=gold"],
            ["no column 'gold' (option label_column)"],
        ),
        (
            [{"question": f"which {n}", "choices": ["1", "0"], "label": "0"} for n in range(20)],
            [],
            ["a label that can be read in two ways: label_is=index or text"],
        ),
        (
            [{"text": f"a text {n}", "label": n} for n in range(30)],
            [],
            ["'label' has 30 different values, and classes are 2 to 20: label_column=NAME"],
        ),
        (
            [{"text": f"a text {n}", "label": n % 2} for n in range(30)],
            ["lable_column=x"],
            ["did you mean 'label_column'?"],
        ),
        (
            [{"text": f"a text {n}", "label": n % 2} for n in range(30)],
            ["label"],
            ["'label' is no option: write key=value"],
        ),
        ([{"text": f"a text {n}", "label": n % 2} for n in range(6)], [], ["text_classification: too few"]),
        ([{"text": f"a text {n}", "label": n % 2} for n in range(200)], ["n_test=150"], ["these sizes fit: "]),
        ([{"text": f"a text {n}", "label": n % 2} for n in range(30)], ["name=boolq"], ["no column 'question'"]),
        ([{"chosen": [n], "rejected": [-n]} for n in range(9)], [], ["task preference: 9 rows cannot be used"]),
        ([{"text": "a text", "label": 0}], ["name=bolq"], ["no task 'bolq'; did you mean 'boolq'?"]),
    ],
)
def test_what_is_missing_is_said(
    rows: list[dict[str, Any]],
    arguments: list[str],
    texts: list[str],
    models: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("data.jsonl", rows)
    before = sorted(Path().iterdir())
    assert cli.main(["init", "data.jsonl", *arguments, *models]) == 2
    shown = capsys.readouterr()
    assert [text for text in texts if text not in shown.err] == []
    assert not shown.out and sorted(Path().iterdir()) == before, "nothing is left behind"


def test_what_is_given_is_taken(models: list[str]) -> None:
    write("data.jsonl", [{"scenario": f"a text {n // 3}", "excuse": f"because {n}", "ok": n % 2} for n in range(200)])
    given = [
        "text_column=scenario",
        "text_pair_column=excuse",
        "label_column=ok",
        "class_names=[bad, good]",
        "n_test=10",
    ]
    assert cli.main(["init", "data.jsonl", *given, "n_train=40", *models, "--output", "own.yaml"]) == 0
    task = yaml.safe_load(Path("own.yaml").read_text(encoding="utf-8"))["task"]
    assert (task["text_column"], task["text_pair_column"], task["label_column"]) == ("scenario", "excuse", "ok")
    assert (task["class_names"], task["n_train"], task["n_test"]) == (["bad", "good"], 40, 10)


def test_a_file_is_never_overwritten(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write("pairs.jsonl", [FORMS["pairs"][1](n) for n in range(50)])
    Path("recipe.yaml").write_text("mine", encoding="utf-8")
    assert cli.main(["init", "pairs.jsonl", *models]) == 2
    assert "recipe.yaml exists and is not overwritten; remove it, or give another --output" in capsys.readouterr().err
    assert Path("recipe.yaml").read_text(encoding="utf-8") == "mine"


def test_models_that_are_not_there_and_models_that_are_one(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write("pairs.jsonl", [FORMS["pairs"][1](n) for n in range(50)])
    assert cli.main(["init", "pairs.jsonl", "--weak", "no/such/folder"]) == 2
    assert "--weak: model_name_or_path 'no/such/folder': no such folder" in capsys.readouterr().err
    assert cli.main(["init", "pairs.jsonl", "--weak", "me/one", "--strong", "me/one"]) == 2
    assert "are both 'me/one', which leaves no gap to recover; name two models" in capsys.readouterr().err
    assert cli.main(["init", "pairs.jsonl", "--weak", "strong", "--strong", "strong"]) == 0
    weak = yaml.safe_load(Path("recipe.yaml").read_text(encoding="utf-8"))["weak"]
    assert weak["train"]["model_init_kwargs"] == {"num_hidden_layers": 2}, "a third of six"


def test_a_dataset_of_the_hub_that_tasks_know(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "allenai/sciq", *models]) == 2
    assert "allenai/sciq: the tasks sciq, sciq_with_support read it; choose one: name=sciq" in capsys.readouterr().err
    assert cli.main(["init", "google/boolq", *models]) == 2
    assert "google/boolq: no local file or folder has this name" in capsys.readouterr().err


def test_sizes_fit_also_where_classes_are_rare(models: list[str]) -> None:
    """One text in nine is of the second class, so that only two ninths of the examples are usable."""
    for count in (150, 400, 1500):
        Path("recipe.yaml").unlink(missing_ok=True)
        write("rare.jsonl", [{"text": f"it is {n}", "label": int(n % 9 == 0)} for n in range(count)])
        assert cli.main(["init", "rare.jsonl", *models]) == 0
        recipe = load_recipe(Path("recipe.yaml"))
        _, splits = read_splits(recipe.task(), recipe.task_name, SplitSizes(**recipe.sizes))
        assert len(splits.test) == recipe.sizes["n_test"] <= count / 9 * 2 / 5 * 2


def test_sizes_are_round_and_at_most_the_papers() -> None:
    task = Preference("unused")
    examples = [Example(f"{n}", f"{n}", f"p{n}", ("a", "b"), 0) for n in range(20_000)]
    assert fitting_sizes(examples, {}, "preference", task) == {"n_train": 8000, "n_test": 2000}
    some = fitting_sizes(examples[:5000], {}, "preference", task)
    assert some["n_test"] % 10 == 0 and 900 <= some["n_test"] <= 1000 and some["n_train"] == 4 * some["n_test"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Each prompt once.
        ([(f"p{n}", f"a{n}", f"b{n}") for n in range(100)], "prompt"),
        # Each prompt once, and two of them have a response in common.
        ([(f"p{n}", f"a{n}", f"b{n // 2}") for n in range(100)], "candidates"),
        # One prompt for all, each response in two rows.
        ([("p", f"a{n}", f"a{n + 1 if n % 4 else n + 2}") for n in range(0, 400, 2)], "candidates"),
        # One prompt for all, and all responses hang together.
        ([("p", f"a{n}", f"a{n + 1}") for n in range(100)], {"first_words": 5}),
        # Each prompt once, but one answer stands everywhere.
        ([(f"p{n}", f"a{n}", "no") for n in range(100)], "prompt"),
    ],
)
def test_grouping(rows: list[tuple[str, str, str]], expected: object) -> None:
    task = Preference("unused")
    columns = ("prompt", "chosen", "rejected")
    examples = [task.to_example(Row(str(n), dict(zip(columns, row, strict=True)))) for n, row in enumerate(rows)]
    assert suggest_grouping(task, examples)[0] == expected


def test_max_length_holds_nearly_all(models: list[str]) -> None:
    # 19 of 20 have 3 + 6 * 150 characters, 301 tokens of three; one is longer.
    long = ["word_ " * (4000 if n % 20 == 0 else 150) for n in range(200)]
    rows = [{"prompt": f"{n:02d} ", "chosen": text + "x", "rejected": "b"} for n, text in enumerate(long)]
    write("pairs.jsonl", rows)
    assert cli.main(["init", "pairs.jsonl", *models]) == 0
    train = yaml.safe_load(Path("recipe.yaml").read_text(encoding="utf-8"))["train"]
    assert train["max_length"] == 2 ** math.ceil(math.log2(904 / 3)) == 512


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("data/My pairs.v2.jsonl.gz", "my_pairs"),
        ("trl-lib/ultrafeedback_binarized", "ultrafeedback_binarized"),
        ("stages.csv", "my_stages"),
        ("données.csv", "donn_es"),
        ("…", "my"),
    ],
)
def test_names_of_runs(dataset: str, name: str) -> None:
    assert run_name(dataset) == name
