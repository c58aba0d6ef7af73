"""From a task to its splits: balanced, in the classes' own order, checked, and written completely or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.programs.prepare import prepare

TEXTS: dict[str, Any] = {"name": "text_classification", "class_names": ["negative", "positive"]}
QUESTIONS: dict[str, Any] = {"name": "multiple_choice"}
SPLITS = ("weak", "relabel", "validation", "test", "unused")


def texts(count: int, every: int = 2) -> list[dict[str, Any]]:
    """Texts, each `every`-th of them positive."""
    return [{"text": f"text number {n}", "label": int(n % every == 0)} for n in range(count)]


def questions(count: int) -> list[dict[str, Any]]:
    return [
        {"question": f"question {n}?", "choices": [f"first {n}", f"second {n}", f"third {n}"], "label": n % 3}
        for n in range(count)
    ]


def run(folder: Path, task: dict[str, Any], rows: Sequence[dict[str, Any]] | None, **sizes: int) -> Path:
    options = dict(task)
    if rows is not None:
        options["path"] = str(folder / "rows.jsonl")
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {"task": options, "sizes": sizes, "stage_hash": "0123456789ab", "inputs": {"content": "x"}}
    (folder / "stage.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    prepare(["--config", str(folder / "stage.yaml"), "--output_dir", str(folder / "out")])
    return folder / "out"


def counts_of(out: Path) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"]
    return counts


def test_classes_keep_their_order_and_every_split_is_balanced(tmp_path: Path) -> None:
    out = run(tmp_path, TEXTS, texts(600, every=3), n_train=201, n_validation=20, n_test=61)
    seen = {}
    for split in SPLITS[:4]:
        examples = read_examples(out / "examples" / f"{split}.parquet")
        assert {example.candidates for example in examples} == {(" negative", " positive")}
        golds = [example.gold for example in examples]
        seen[split] = (golds.count(0), golds.count(1))
    assert seen == {"weak": (50, 50), "relabel": (51, 50), "validation": (10, 10), "test": (31, 30)}
    counts = counts_of(out)
    assert [counts[f"n_{split}"] for split in SPLITS] == [100, 101, 20, 61, 318]
    assert counts["groups"] == 600 and counts["duplicates"] == counts["contradictions"] == 0
    check = json.loads((out / "check.json").read_text(encoding="utf-8"))
    # Balanced but for the one example of an odd size.
    assert check["balance"]["test"] == {" negative": pytest.approx(31 / 61), " positive": pytest.approx(30 / 61)}
    assert check["chance"] == 0.5
    assert counts["length_only"] == check["length_only"]["value"]
    assert counts["bag_of_words"] == check["bag_of_words"]["value"]
    assert 0.0 <= counts["length_only"] <= 1.0 and 0.0 <= counts["bag_of_words"] <= 1.0


def test_balance_may_be_left_out(tmp_path: Path) -> None:
    out = run(tmp_path, {**TEXTS, "balance": False}, texts(600, every=6), n_train=200, n_test=60)
    golds = [example.gold for example in read_examples(out / "examples" / "weak.parquet")]
    assert len(golds) == 100 and golds.count(1) < 35


def test_answers_are_put_in_an_order_that_does_not_know_the_right_one(tmp_path: Path) -> None:
    rows = [{**row, "label": 0} for row in questions(600)]
    out = run(tmp_path, QUESTIONS, rows, n_train=400, n_test=100)
    golds = [example.gold for example in read_examples(out / "examples" / "weak.parquet")]
    # Binomial(200, 1/3): five standard errors are 33.
    assert all(33 < golds.count(k) < 100 for k in range(3))
    assert counts_of(out)["n_weak"] == 200


def test_the_same_rows_in_another_order_give_the_same_files(tmp_path: Path) -> None:
    outputs = []
    for name, rows in (("one", texts(200)), ("two", texts(200)[::-1])):
        (tmp_path / name).mkdir()
        out = run(tmp_path / name, TEXTS, rows, n_train=100, n_test=30)
        outputs.append({split: (out / "examples" / f"{split}.parquet").read_bytes() for split in SPLITS[:4]})
        outputs[-1]["check"] = (out / "check.json").read_bytes()
    assert outputs[0] == outputs[1]


# Of a try that failed: its lock, and what went wrong.
KEPT = (".lock", "progress.json")


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").rglob("*") if path.is_file() and path.name not in KEPT)


def test_data_that_cannot_be_balanced_names_what_fits(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        run(tmp_path, TEXTS, texts(600, every=10), n_train=400, n_test=100)
    message = str(raised.value)
    assert "text_classification: too few for the splits" in message and "when balanced), 200 needed" in message
    sizes = dict(part.split(": ") for part in message.split("these sizes fit: ")[1].splitlines()[0].split(", "))
    assert left_behind(tmp_path) == []
    out = run(tmp_path, TEXTS, texts(600, every=10), **{name: int(value) for name, value in sizes.items()})
    assert counts_of(out)["n_test"] == int(sizes["n_test"])


BAD = {
    "label outside the classes": (TEXTS, texts(60), 7, {"label": 2}, ["rows.jsonl:8", "label 2", "outside"]),
    "no label": (TEXTS, texts(60), 7, {"label": None}, ["rows.jsonl:8", "no label"]),
    "one answer": (QUESTIONS, questions(60), 4, {"choices": ["only"], "label": 0}, ["rows.jsonl:5", "1 answers"]),
    "equal answers": (QUESTIONS, questions(60), 4, {"choices": ["a", "b", "a"]}, ["rows.jsonl:5", "two equal answers"]),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_row_is_named_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    task, rows, index, change, words = BAD[name]
    rows[index] = {**rows[index], **change}
    with pytest.raises(DataError) as raised:
        run(tmp_path, task, rows, n_train=20, n_test=5)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert left_behind(tmp_path) == []


def test_what_the_check_of_the_data_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise DataError("the check found a mistake")

    monkeypatch.setattr("w2s_rm.programs.prepare.check_examples", refuse)
    with pytest.raises(DataError, match="found a mistake"):
        run(tmp_path, TEXTS, texts(60), n_train=20, n_test=5)
    assert left_behind(tmp_path) == []


def test_an_example_with_other_candidates_than_the_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_rm.tasks.text_classification import TextClassification

    monkeypatch.setattr(TextClassification, "classes", property(lambda self: (" positive", " negative")))
    monkeypatch.setattr(
        TextClassification, "example", lambda self, prompt, gold, **_: _example(prompt, (" negative", " positive"))
    )
    with pytest.raises(DataError, match=r"rows.jsonl:1: candidates are \(' negative'.* classes \(' positive'"):
        run(tmp_path, TEXTS, texts(60), n_train=20, n_test=5)


def test_a_task_with_ground_truth_has_it_for_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_rm.tasks.text_classification import TextClassification

    monkeypatch.setattr(
        TextClassification,
        "example",
        lambda self, prompt, gold, **_: _example(prompt, (" negative", " positive"), gold or None),
    )
    with pytest.raises(DataError, match=r"(?s)30 rows cannot be used.*rows\.jsonl:2: it has no ground truth"):
        run(tmp_path, TEXTS, texts(60), n_train=20, n_test=5)


def _example(prompt: str, candidates: tuple[str, ...], gold: int | None = 0) -> Any:
    from w2s_rm.types import Example

    return Example(prompt, prompt, prompt, candidates, gold)


def test_a_finished_stage_is_not_prepared_again(tmp_path: Path) -> None:
    run(tmp_path, TEXTS, texts(60), n_train=20, n_test=5)
    with pytest.raises(ConfigError, match="is finished"):
        run(tmp_path, TEXTS, texts(60), n_train=20, n_test=5)


def test_ties_soft_truths_and_what_is_left_out_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = {
        "name": "preference",
        "votes_columns": ["for", "against"],
        "ties": "half",
        "unlabelled": "drop",
    }
    rows = [
        {"prompt": f"question {n}?", "chosen": f"yes {n}", "rejected": f"no {n}", "for": n % 4, "against": 2 * (n % 2)}
        for n in range(400)
    ]
    out = run(tmp_path, task, rows, n_train=160, n_test=40)
    counts = counts_of(out)
    # Of 0:0, 1:2, 2:0, 3:2 the first says nothing and the third is not soft.
    assert counts["left_out"] == {"without ground truth": 100} and counts["ties"] == 0
    parts = {split: read_examples(out / "examples" / f"{split}.parquet") for split in ("weak", "relabel", "test")}
    used = [one for part in parts.values() for one in part]
    shares = {round(one.targets[one.gold], 9) for one in used if one.targets is not None and one.gold is not None}
    assert shares == {1.0, round(2 / 3, 9), 0.6}
    assert counts["soft_truths"] == sum(max(one.targets or ()) < 1.0 for one in used)
    (tmp_path / "ties").mkdir()
    even = [{**row, "against": row["for"]} if n % 8 == 1 else row for n, row in enumerate(rows)]
    counts = counts_of(run(tmp_path / "ties", task, even, n_train=160, n_test=40))
    assert counts["ties"] > 0 and f"{counts['ties']} of 200 examples are ties; no accuracy counts them" in caplog.text


def test_a_row_without_truth_among_rows_with_it_is_named_before_the_split(tmp_path: Path) -> None:
    rows = [{"prompt": f"q {n}?", "a": f"yes {n}", "b": f"no {n}", "best": "a" if n % 50 else None} for n in range(200)]
    task = {"name": "preference", "response_a_column": "a", "response_b_column": "b", "preferred_column": "best"}
    with pytest.raises(DataError, match=r"(?s)4 rows cannot be used.*rows\.jsonl:1: it has no ground truth"):
        run(tmp_path, task, rows)
