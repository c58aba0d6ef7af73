"""Answers are written once, before they are acknowledged, and found again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.data.label_files import read_labels
from w2s_rm.data.label_store import join_labels
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.people.questions import questions
from w2s_rm.people.sitting import Sitting
from w2s_rm.types import Example

EXAMPLES = [Example(f"e{n}", f"g{n}", f"p{n}", (f"good {n}", f"bad {n}"), 0) for n in range(4)]


def sit(path: Path, labeller: str = "anna", ties: bool = True, examples: list[Example] = EXAMPLES) -> Sitting:
    return Sitting(path, labeller, questions(examples, labeller, has_classes=False), ties)


def message(sitting: Sitting, number: int, choice: Any, key: str) -> dict[str, Any]:
    return {"key": key, "question": list(sitting.asked)[number], "choice": choice, "seconds": 1.25}


def test_what_is_said_is_a_label_of_the_right_candidate(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    for labeller in ("anna", "ben"):
        sitting = sit(path, labeller)
        for number, question in enumerate(sitting.asked.values()):
            good = question.order.index(0)
            sitting.answer(message(sitting, number, good if number < 3 else "tie", f"{labeller}{number}"))
    labels = join_labels(EXAMPLES, read_labels(path))
    assert labels == [(1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.5, 0.5)]


def test_an_answer_that_is_sent_again_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    sitting = sit(path)
    for _ in range(3):
        sitting.answer(message(sitting, 0, 1, "a"))
    # To another server too, and after it was taken back.
    sitting = sit(path)
    sitting.answer(message(sitting, 0, 1, "a"))
    sitting.answer(message(sitting, 0, None, "b"))
    sitting.answer(message(sitting, 0, 1, "a"))
    assert len(path.read_text().splitlines()) == 2 and sitting.n_answered == 0
    assert sit(path).state()["answers"] == []


def test_a_sitting_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    sitting = sit(path)
    for number, choice in ((2, 1), (0, "tie"), (1, 0), (2, 0)):
        sitting.answer(message(sitting, number, choice, f"{number}{choice}"))
    names = list(sitting.asked)
    # In the order in which they were last answered.
    expected = [[names[0], "tie", 1.25], [names[1], 0, 1.25], [names[2], 0, 1.25]]
    assert sitting.state()["answers"] == expected == sit(path).state()["answers"]
    assert sit(path, "ben").n_answered == 0
    assert sit(path).seconds == [1.25] * 3


@pytest.mark.parametrize("left", [1, 40, -2])
def test_a_line_that_was_not_written_to_its_end_is_asked_again(tmp_path: Path, left: int) -> None:
    path = tmp_path / "labels.jsonl"
    sitting = sit(path)
    sitting.answer(message(sitting, 0, 1, "a"))
    whole = path.read_bytes()
    sitting.answer(message(sitting, 1, 1, "b"))
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:left])
    sitting = sit(path)
    assert sitting.was_unfinished and sitting.n_answered == 1
    sitting.answer(message(sitting, 1, 1, "b"))
    assert sit(path).n_answered == 2 and not sit(path).was_unfinished


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_without_its_line_break_is_kept(tmp_path: Path, whole: bool) -> None:
    """As an editor may leave it, before a server starts and while one runs."""
    path = tmp_path / "labels.jsonl"
    sitting = sit(path)
    for number in range(2):
        sitting.answer(message(sitting, number, 1, str(number)))
    path.write_bytes(path.read_bytes()[:-1])
    if whole:
        sitting = sit(path)
        assert not sitting.was_unfinished and sitting.n_answered == 2
    sitting.answer(message(sitting, 2, 1, "2"))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "content",
    [
        b'{"important": "file of one line"}',
        b"my notes",
        b"  my notes",
        b'{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "d", "chosen": "e", "rejec',
        b'{"id": "e0", "labeller": "a"}\n{"id": "e0", "lab',
        b'{"id": "e0", "candidate_ids": ["a", "b"], "probabilities": [1, 0]}\n{"id": "e1"',
        gzip.compress(b'{"id": "e0", "candidate_ids": [], "probabilities": null, "labeller": "a"}\n'),
        b"\xff\xfe",
    ],
)
def test_files_that_are_none_of_judgements_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)):
        sit(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet", "labels.jsonl.gz", "notes.txt", "labels"])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(ConfigError, match=r"let the name of --output end in \.jsonl, \.json, \.ndjson"):
        sit(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"content"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"question": "other"}, "none of the server's"),
        ({"key": ""}, "needs a key"),
        ({"choice": 2}, "choice is 2"),
        ({"choice": -1}, "choice is -1"),
        ({"choice": True}, "choice is True"),
        ({"choice": [1]}, "choice is"),
        ({"choice": "tie"}, "choice is 'tie'"),
        ({"seconds": "1"}, "seconds is '1'"),
        ({"seconds": float("nan")}, "seconds is nan"),
    ],
)
def test_what_is_no_answer_is_refused_and_not_written(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    sitting = sit(tmp_path / "labels.jsonl", ties=False)
    with pytest.raises(DataError, match=text):
        sitting.answer({**message(sitting, 0, 1, "a"), **change})
    assert not (tmp_path / "labels.jsonl").exists()


def test_files_that_are_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "e0", "candidate_ids": ["a", "b"], "probabilities": [1, 0]}\n', encoding="utf-8")
    with pytest.raises(DataError, match="labels without a labeller"):
        sit(path)
    line = {"id": "e0", "candidate_ids": ["a", "b"], "probabilities": [1, 0], "labeller": "anna"}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="id 'e0': its candidates are others now"):
        sit(path)
    assert sit(path, "ben").n_answered == 0
    path.write_text("{}\nnonsense\n", encoding="utf-8")
    with pytest.raises(DataError, match="labels.jsonl:2: broken JSON"):
        sit(path)
