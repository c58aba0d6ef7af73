"""Agreement of labellers in one file and in several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from w2s_rm.cli import main
from w2s_rm.data.label_files import WeakLabel, write_labels
from w2s_rm.errors import DataError
from w2s_rm.people.agreement import agreement_text, read_labellers


def judged(path: Path, **said: str) -> Path:
    """A letter for each example: `a` and `b` are candidates, `t` is a tie; a blank says nothing."""
    labels = {"a": [1.0, 0.0], "b": [0.0, 1.0], "t": [0.5, 0.5]}
    rows = [
        {"id": f"e{n}", "candidate_ids": ["a", "b"], "probabilities": labels[x], "labeller": name, "seconds": n}
        for name, choices in said.items()
        for n, x in enumerate(choices)
        if x != " "
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_labellers_of_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = judged(tmp_path / "l.jsonl", anna="aabbtaab", ben="aabbabab", cleo="   bba  ")
    assert main(["agreement", str(path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split() for line in shown[:4]] == [
        ["labeller", "answers", "ties", "seconds", "each"],
        ["anna", "8", "1", "3.5"],
        ["ben", "8", "0", "3.5"],
        ["cleo", "3", "0", "4.0"],
    ]
    kappa = cohen_kappa_score(list("aabbtaab"), list("aabbabab"))
    assert shown[6].split()[:7] == ["anna,", "ben", "8", f"{kappa:.2f}", "75.0", "%", shown[6].split()[6]]
    # Of e3 to e5 anna says b t a, ben b a b, cleo b b a: pairs that agree are 3, 0 and 1 of 9; of nine choices five
    # are b, three a, one a tie: chance (25 + 9 + 1) / 81.
    chance = 35 / 81
    assert shown[-1].startswith("3 examples have an answer of all 3: two of these agree on 44.4 %")
    assert shown[-1].endswith(f"Fleiss' kappa {(4 / 9 - chance) / (1 - chance):.2f}")


def test_labels_of_a_model_and_several_files(tmp_path: Path) -> None:
    first, second = judged(tmp_path / "1.jsonl", me="aab"), judged(tmp_path / "2.jsonl", me="aab")
    write_labels(tmp_path / "model.parquet", [WeakLabel("e0", ("b", "a"), (0.1, 0.9))])
    labellers = read_labellers([first, second, tmp_path / "model.parquet"])
    assert [one.name for one in labellers] == [f"me in {first}", f"me in {second}", "model.parquet"]
    shown = agreement_text(labellers)
    assert "1 examples have an answer of all 3: two of these agree on 100.0 %" in shown and "kappa –" in shown
    assert "–" in agreement_text(read_labellers([first, judged(tmp_path / "3.jsonl", ben="    a")]))


def test_other_candidates_are_refused(tmp_path: Path) -> None:
    path = judged(tmp_path / "1.jsonl", me="a")
    write_labels(tmp_path / "model.parquet", [WeakLabel("e0", ("b", "c"), (0.1, 0.9))])
    with pytest.raises(DataError, match="id 'e0': me and model.parquet judged different candidates"):
        agreement_text(read_labellers([path, tmp_path / "model.parquet"]))
