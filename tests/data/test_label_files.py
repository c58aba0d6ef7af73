"""Labels are read from every form a supervisor may write, and cells that are no numbers are named with their line."""

import csv
import json
import math

import pytest

from w2s_rm.data.label_files import WeakLabel, loose_ids, read_labels, read_log_probabilities, write_labels
from w2s_rm.errors import DataError

LABELS = [WeakLabel("1", ("a", "b"), (0.25, 0.75)), WeakLabel("2", ("c", "d"), (1.0, 0.0))]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_round_trip_is_exact(tmp_path):
    labels = [
        WeakLabel("1", ("a", "b"), (0.1, 0.9), (-1.5, 1e-300)),
        WeakLabel("2", ("a", "b", "c"), (1 / 3, 1 / 3, 1 / 3), None),
    ]
    write_labels(tmp_path / "weak_labels.parquet", labels)
    assert read_labels(tmp_path / "weak_labels.parquet") == labels
    assert [path.name for path in tmp_path.iterdir()] == ["weak_labels.parquet"]


def test_log_probabilities_come_from_scores_where_there_are_any(tmp_path):
    path = tmp_path / "weak_labels.parquet"
    labels = [WeakLabel("1", ("a", "b"), (1.0, 0.0), (900.0, -900.0)), WeakLabel("2", ("a", "b"), (0.25, 0.75))]
    write_labels(path, [*labels, WeakLabel("3", ("a", "b"), (1.0, 0.0))])
    assert read_log_probabilities(path) == {
        "1": (900.0, -900.0),
        "2": (math.log(0.25), math.log(0.75)),
        "3": (0.0, -math.inf),
    }
    for broken in (tmp_path / "absent.parquet", write_jsonl(tmp_path / "rows.jsonl", [{"id": 1}])):
        with pytest.raises(DataError, match="not labels of a stage"):
            read_log_probabilities(broken)


def test_many_labels_are_written_as_they_come(tmp_path):
    path = tmp_path / "weak_labels.parquet"
    names = []

    def labels(count):
        for number in range(count):
            names.append(sorted(file.name for file in tmp_path.iterdir()))
            yield WeakLabel(str(number), ("a", "b"), (number / count, 1.0 - number / count), (0.0, number))

    write_labels(path, labels(20000))
    assert names[-1] and path.name not in names[-1]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read_labels(path) == list(labels(20000))


def test_interrupted_labels_leave_nothing(tmp_path):
    def labels():
        yield from LABELS * 5000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_labels(tmp_path / "weak_labels.parquet", labels())
    assert list(tmp_path.iterdir()) == []


def test_wide_form(tmp_path):
    rows = [
        {"id": x.id, "candidate_ids": list(x.candidate_ids), "probabilities": list(x.probabilities)} for x in LABELS
    ]
    assert read_labels(write_jsonl(tmp_path / "a.jsonl", rows)) == LABELS
    cells = [{key: value if key == "id" else json.dumps(value) for key, value in row.items()} for row in rows]
    assert read_labels(write_csv(tmp_path / "a.csv", cells)) == LABELS


def test_long_form(tmp_path):
    rows = [
        {"id": label.id, "candidate_id": name, "probability": value}
        for label in LABELS
        for name, value in zip(label.candidate_ids, label.probabilities, strict=True)
    ]
    assert read_labels(write_jsonl(tmp_path / "a.jsonl", rows)) == LABELS
    assert read_labels(write_csv(tmp_path / "a.csv", rows)) == LABELS


def test_trl_form(tmp_path):
    row = {"prompt": "Q:", "chosen": "yes", "rejected": "no", "chosen_probability": 0.75}
    id, candidate_ids = loose_ids("Q:", ("yes", "no"))
    expected = [WeakLabel(id, candidate_ids, (0.75, 0.25))]
    assert read_labels(write_jsonl(tmp_path / "a.jsonl", [row])) == expected
    assert read_labels(write_csv(tmp_path / "a.csv", [row])) == expected
    assert read_labels(write_jsonl(tmp_path / "b.jsonl", [{**row, "id": 7}])) == [
        WeakLabel("7", candidate_ids, (0.75, 0.25))
    ]


def test_loose_ids_see_the_text_not_its_white_space():
    explicit = loose_ids("Q: who?", ("I am", "You are"))
    assert explicit == loose_ids("Q: who?", (" I am", " You are")) == loose_ids("", ("Q: who? I am", "Q: who? You are"))
    assert explicit[0] == loose_ids("Q: who?", ("You are", "I am"))[0]
    assert explicit[1] == loose_ids("Q: who?", ("You are", "I am"))[1][::-1]
    assert explicit[0] != loose_ids("Q: how?", ("I am", "You are"))[0]
    # White space counts where nothing else tells the candidates apart.
    assert len(set(loose_ids("Q", ("a b", "ab"))[1])) == 2


def test_loose_ids_of_conversations():
    ask, one, two = ({"role": "user", "content": "Q"},), *(({"role": "assistant", "content": c},) for c in "ab")
    assert loose_ids(ask, (one, two)) == loose_ids((), (ask + one, ask + two)) == loose_ids("Q", (ask + one, ask + two))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"id": "1", "candidate_ids": ["a"], "probabilities": ["high"]},
            r"a\.jsonl:2: probabilities holds 'high', not a number",
        ),
        ({"id": "1", "candidate_ids": ["a"], "probabilities": [None]}, "probabilities holds None, not a number"),
        ({"id": "1", "candidate_ids": "a b", "probabilities": [1]}, "candidate_ids is 'a b', not a JSON list"),
        ({"id": "1", "candidate_ids": None, "probabilities": [1]}, "candidate_ids is None, not a list"),
        ({"id": None, "candidate_ids": ["a"], "probabilities": [1]}, r"a\.jsonl:2: id is empty"),
    ],
)
def test_cells_that_cannot_be_read(tmp_path, row, message):
    good = {"id": "0", "candidate_ids": ["a", "b"], "probabilities": [0.5, 0.5]}
    with pytest.raises(DataError, match=message):
        read_labels(write_jsonl(tmp_path / "a.jsonl", [good, row]))


def test_all_bad_rows_are_reported_together(tmp_path):
    rows = [{"id": str(i), "candidate_id": "a", "probability": "x"} for i in range(3)]
    with pytest.raises(DataError, match=r"(?s)a\.jsonl: labels that cannot be read.*:1: .*:2: .*:3: "):
        read_labels(write_jsonl(tmp_path / "a.jsonl", rows))
    rows = [{"prompt": "p", "chosen": None, "rejected": "b", "chosen_probability": 1}]
    with pytest.raises(DataError, match=r"chosen is empty \(null\)"):
        read_labels(write_jsonl(tmp_path / "b.jsonl", rows))


def test_another_file_names_the_columns_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"needs the columns \(id, candidate_ids, probabilities\) or .*, has id, label"):
        read_labels(write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "label": 1}]))


def judged(labeller, id, candidate_ids, probabilities):
    return {"id": id, "candidate_ids": candidate_ids, "probabilities": probabilities, "labeller": labeller}


def test_of_judgements_the_last_of_each_labeller_counts(tmp_path):
    rows = [
        judged("anna", "1", ["a", "b"], [1.0, 0.0]),
        judged("anna", "2", ["c", "d"], [1.0, 0.0]),
        judged("anna", "2", ["c", "d"], None),
        judged("anna", "3", ["e", "f"], [0.5, 0.5]),
        judged("anna", "1", ["a", "b"], [0.0, 1.0]),
        # In the order in which he saw them.
        judged("ben", "1", ["b", "a"], [0.0, 1.0]),
    ]
    labels = read_labels(write_jsonl(tmp_path / "a.jsonl", rows))
    # Of 1 anna says b in the end and ben a; of 2 she has taken back what she said.
    assert {label.id: dict(zip(label.candidate_ids, label.probabilities, strict=True)) for label in labels} == {
        "1": {"a": 0.5, "b": 0.5},
        "3": {"e": 0.5, "f": 0.5},
    }


def test_a_first_judgement_without_its_labeller_makes_no_plain_labels_of_the_others(tmp_path):
    first = {name: value for name, value in judged("anna", "1", ["a", "b"], [1.0, 0.0]).items() if name != "labeller"}
    rows = [first, judged("ben", "1", ["a", "b"], [0.0, 1.0])]
    with pytest.raises(DataError, match="a.jsonl:1: labeller"):
        read_labels(write_jsonl(tmp_path / "a.jsonl", rows))


def test_judgements_that_cannot_be_read_are_named(tmp_path):
    rows = [judged("anna", "1", ["a", "b"], [1.0, 0.0]), judged("ben", "1", ["a", "c"], [1.0, 0.0])]
    with pytest.raises(DataError, match="id '1': anna and ben judged different candidates"):
        read_labels(write_jsonl(tmp_path / "a.jsonl", rows))
    wrong = [*rows, judged(None, "2", ["a", "b"], [1.0, 0.0]), judged("ben", "2", ["a", "b"], [1.0])]
    with pytest.raises(DataError, match=r"(?s)a.jsonl:3: labeller is empty.*:4: 2 candidates, 1 probabilities"):
        read_labels(write_jsonl(tmp_path / "a.jsonl", wrong))
