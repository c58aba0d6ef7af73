"""Files of data, labels and responses that nobody meant: read, or refused with a message, in every form they have."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from fuzzing import TRICKY, damaged, jsonl, mutations, outcome, refusal, write
from hypothesis import given
from hypothesis import strategies as st

from w2s_rm.data.label_store import join_labels, read_labels, to_trl_rows, write_trl_dataset
from w2s_rm.files import write_text
from w2s_rm.integrations.responses import best_of_n, read_responses, rewarded, to_jsonl
from w2s_rm.tasks.preference import Preference
from w2s_rm.types import Row

TALK = [{"role": "user", "content": "why #?"}, {"role": "assistant", "content": "so"}]
SAID = [{"role": "assistant", "content": "no"}]
SHAREGPT = [{"from": "human", "value": "why #?"}, {"from": "gpt", "value": "so"}]
CALL = [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}]
# Each form of each task: options, and a row that is right.
FORMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "pairs": ("preference", {}, {"prompt": "p#", "chosen": " good", "rejected": " bad"}),
    "implicit": ("preference", {"prompt_column": ""}, {"chosen": "a b# good", "rejected": "a b# bad"}),
    "messages": ("preference", {}, {"prompt": TALK[:1], "chosen": TALK[1:], "rejected": SAID}),
    "whole": ("preference", {}, {"prompt": "why #?", "chosen": TALK, "rejected": [TALK[0], *SAID]}),
    "sharegpt": (
        "preference",
        {"prompt_column": "", "roles": "sharegpt"},
        {"chosen": SHAREGPT, "rejected": [SHAREGPT[0], {"from": "gpt", "value": "no"}]},
    ),
    "tools": ("preference", {}, {"prompt": TALK[:1], "chosen": CALL, "rejected": SAID, "tools": [{"name": "f"}]}),
    "ratings": (
        "preference",
        {"rating_columns": ["a", "b"], "rating_scale": 1.0, "ties": "drop", "unlabelled": "drop", "group_column": "g"},
        {"prompt": "p#", "chosen": " good", "rejected": " bad", "a": 3, "b": 1.5, "g": "g#"},
    ),
    "votes": (
        "preference",
        {"votes_columns": ["a", "b", "c"], "ties": "half", "contradictions": "soft", "id_column": "key"},
        {"prompt": "p#", "chosen": " good", "rejected": " bad", "a": 3, "b": 1, "c": 0, "key": "k#"},
    ),
    "preferred": (
        "preference",
        {"response_a_column": "a", "response_b_column": "b", "preferred_column": "winner", "alike": "drop"},
        {"prompt": "p#", "a": " good", "b": " bad", "winner": "b"},
    ),
    "strength": (
        "preference",
        {"strength_column": "s", "margin_column": "m", "group_by": "candidates", "ties": "drop"},
        {"prompt": "p#", "chosen": " good#", "rejected": " bad#", "s": -2, "m": 0.5},
    ),
    "texts": ("text_classification", {}, {"text": "t#", "label": 1}),
    "questions": ("multiple_choice", {}, {"question": "q#", "choices": ["yes", "no"], "label": 1}),
    "columns": (
        "multiple_choice",
        {"choice_columns": ["a", "b"], "label_is": "letter", "form": "choice"},
        {"question": "q#", "a": "yes", "b": "no", "label": "b"},
    ),
    "transcripts": (
        "anthropic_hh",
        {},
        {"chosen": "\n\nHuman: why #?\n\nAssistant: so", "rejected": "\n\nHuman: why #?\n\nAssistant: no"},
    ),
    "puzzles": (
        "lichess_puzzles",
        {},
        {
            "PuzzleId": "p#",
            "FEN": "7k/8/8/8/8/8/R7/K7 b - - 0 1",
            "Moves": "h8g8 a2a8",
            "Rating": "1500",
            "Themes": "x",
        },
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def numbered(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A row that is none of the others: its number in place of each `#`."""
    return dict(json.loads(json.dumps(row).replace("#", str(number))))


def check(folder: Path, form: str, path: Path) -> str:
    """What `w2s-rm check` says of a file in a form."""
    task, options, _ = FORMS[form]
    given_options = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    return outcome(["check", task, f"path={path}", "n_train=4", "n_test=2", *given_options])[1]


@pytest.mark.parametrize("form", [name for name in FORMS if name != "puzzles"])
def test_what_is_mutated_is_right(folder: Path, form: str) -> None:
    rows = [numbered(FORMS[form][2], number) for number in range(40)]
    if "label" in rows[0] and form != "columns":
        rows = [{**row, "label": number % 2} for number, row in enumerate(rows)]
    said = check(folder, form, write(folder / "rows.jsonl", jsonl(rows)))
    assert not said, said


@pytest.mark.parametrize("part", [0, 1, 2])
@given(data=st.data())
def test_rows(folder: Path, part: int, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(FORMS)[part::3]))
    row = FORMS[form][2]
    odd = data.draw(st.lists(mutations([row], [*row, "tools", "split", "margin"], most=2), min_size=1, max_size=3))
    rows = [numbered(row, number) for number in range(12)]
    at = data.draw(st.integers(0, len(rows)))
    check(folder, form, write(folder / "rows.jsonl", jsonl([*rows[:at], *odd, *rows[at:]])))


@given(form=st.sampled_from(sorted(FORMS)), cells=st.lists(st.lists(st.one_of(st.sampled_from(TRICKY), st.text()))))
def test_csv(folder: Path, form: str, cells: list[list[str]]) -> None:
    row = FORMS[form][2]
    lines = [list(row), *cells, list(map(str, row.values()))]
    text = "\n".join(",".join(line) for line in lines)
    check(folder, form, write(folder / "rows.csv", text.encode("utf-8", "surrogatepass")))


# Three cells of every type that a Parquet file may have where text or a number is expected.
COLUMNS = [
    pyarrow.array(["a", "b", None]),
    pyarrow.array([1, 2, None]),
    pyarrow.array([1.5, float("nan"), float("inf")]),
    pyarrow.array([True, False, None]),
    pyarrow.array([b"\xff", b"", None]),
    pyarrow.array([["a", None], [], None]),
    pyarrow.array([[TALK[0]], [], None]),
    pyarrow.array([{"text": ["a"], "label": [0]}, {"text": [], "label": []}, None]),
    pyarrow.array([None, None, None]),
    pyarrow.array(["a", "b", "a"]).dictionary_encode(),
    pyarrow.array([0, 1, 2], pyarrow.timestamp("ns")),
    pyarrow.array([2**50, 1, None], pyarrow.timestamp("ms")),
    pyarrow.array([0, 1, None], pyarrow.duration("us")),
    pyarrow.array([0, 1, 2], pyarrow.date32()),
    pyarrow.array([1, 2, 3], pyarrow.decimal128(38, 10)),
    pyarrow.array([[("a", 1)], [], None], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    pyarrow.array([0.5, 1, None], pyarrow.float16()),
    pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(['{"role": "user"}', "[", None])),
]


@given(form=st.sampled_from(sorted(FORMS)), columns=st.lists(st.sampled_from(COLUMNS), min_size=7, max_size=7))
def test_columns_of_any_type(folder: Path, form: str, columns: list[pyarrow.Array]) -> None:
    names = list(FORMS[form][2])
    pyarrow.parquet.write_table(pyarrow.table(columns[: len(names)], names), folder / "rows.parquet")
    check(folder, form, folder / "rows.parquet")


def parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), sink)
    return sink.getvalue()


PAIRS = [numbered(FORMS["pairs"][2], number) for number in range(20)]
LINES = jsonl(PAIRS)
PIECES = [
    b'{"prompt": ',
    b"[" * 2000,
    b"9" * 5000,
    b'"\\ud800"',
    b"NaN",
    b"-Infinity",
    b"null",
    b"{}\n",
    b"\x00",
    b"\xff",
]


@given(data=damaged([LINES, gzip.compress(LINES, mtime=0)], PIECES))
def test_damaged_lines(folder: Path, data: bytes) -> None:
    check(folder, "pairs", write(folder / "rows.jsonl", data))


@given(data=damaged([parquet(PAIRS)], PIECES))
def test_damaged_parquet(folder: Path, data: bytes) -> None:
    check(folder, "pairs", write(folder / "rows.parquet", data))


@given(form=st.sampled_from(sorted(FORMS)), data=st.data(), words=st.sampled_from(([], ["name=preference"], ["x=1"])))
def test_starters(folder: Path, form: str, data: st.DataObject, words: list[str]) -> None:
    row = FORMS[form][2]
    odd = data.draw(mutations([row], list(row), most=2))
    path = write(folder / "rows.jsonl", jsonl([odd, *(numbered(row, number) for number in range(60))]))
    output = folder / "starter.yaml"
    output.unlink(missing_ok=True)
    outcome(["init", str(path), "--output", str(output), *words])


EXAMPLES = [Preference("x").to_example(Row(f"row {n}", row)) for n, row in enumerate(PAIRS)]
FIRST = EXAMPLES[0]
WIDE = {"id": FIRST.id, "candidate_ids": list(FIRST.candidate_ids), "probabilities": [0.25, 0.75], "scores": [0.0, 1.0]}
LONG = {"id": FIRST.id, "candidate_id": FIRST.candidate_ids[0], "probability": 0.5}
TRL = {**PAIRS[0], "chosen_probability": 0.75}


def label(folder: Path, path: Path) -> None:
    """Label an example by a file, and write it as a dataset for TRL."""
    labels = read_labels(path)
    join_labels(EXAMPLES[:1], labels)
    write_trl_dataset(folder / "trl", to_trl_rows(EXAMPLES[:1], labels))


@pytest.mark.parametrize("rows", [[WIDE], [LONG, {**LONG, "candidate_id": FIRST.candidate_ids[1]}], [TRL]])
def test_labels_that_are_mutated_are_right(folder: Path, rows: list[Any]) -> None:
    assert refusal(lambda: label(folder, write(folder / "labels.jsonl", jsonl(rows)))) is None


@given(rows=st.lists(mutations([WIDE, LONG, TRL], [*WIDE, *LONG, *TRL], most=2), min_size=1, max_size=4))
def test_labels(folder: Path, rows: list[Any]) -> None:
    path = write(folder / "labels.jsonl", jsonl(rows))
    refusal(lambda: label(folder, path))


@given(columns=st.lists(st.sampled_from(COLUMNS), min_size=4, max_size=4), form=st.sampled_from((WIDE, LONG, TRL)))
def test_labels_of_any_type(folder: Path, columns: list[pyarrow.Array], form: dict[str, Any]) -> None:
    names = list(form)[:4]
    pyarrow.parquet.write_table(pyarrow.table(columns[: len(names)], names), folder / "labels.parquet")
    refusal(lambda: join_labels(EXAMPLES, read_labels(folder / "labels.parquet")))


@given(data=damaged([jsonl([WIDE, TRL]), jsonl([LONG])], [*PIECES, b"1e400", b"[]", b'"0.5"']))
def test_damaged_labels(folder: Path, data: bytes) -> None:
    path = write(folder / "labels.jsonl", data)
    refusal(lambda: join_labels(EXAMPLES, read_labels(path)))


RESPONSES = [
    {"prompt": "p#", "response": " one"},
    {"prompt": "p#", "responses": [" one", " two"], "more": {"x": 1}},
    {"prompt": TALK[:1], "response": TALK[1:]},
    {"prompt": TALK[:1], "response": CALL, "tools": [{"name": "f"}], "chat_template_kwargs": {"thinking": True}},
]


def score(folder: Path, path: Path) -> None:
    """All of `w2s-rm score` but the model."""
    asked = read_responses(path, "prompt", "response")
    numbers = random.Random(0)
    rewards = [[numbers.random() for _ in line.responses] for line in asked]
    write_text(folder / "rewarded.jsonl", to_jsonl(rewarded(asked, rewards)))
    write_text(folder / "best.jsonl", to_jsonl(best_of_n(asked, rewards, "response")))


@given(
    rows=st.lists(mutations(RESPONSES, ["prompt", "response", "responses", "tools"], most=2), min_size=1, max_size=3)
)
def test_responses(folder: Path, rows: list[Any]) -> None:
    path = write(folder / "responses.jsonl", jsonl(rows))
    refusal(lambda: score(folder, path))


@given(data=damaged([jsonl(RESPONSES[:2]), jsonl(RESPONSES[2:]), gzip.compress(jsonl(RESPONSES), mtime=0)], PIECES))
def test_damaged_responses(folder: Path, data: bytes) -> None:
    path = write(folder / "responses.jsonl", data)
    refusal(lambda: score(folder, path))
