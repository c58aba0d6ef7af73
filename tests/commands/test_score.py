"""`w2s-rm score`: rewards for a file of prompts and responses, and the best of n."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from w2s_rm import cli
from w2s_rm.integrations.rewards import reward_function

ROOT = Path(__file__).parents[2]


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


ROWS = [
    {"id": 7, "prompt": "w5", "response": " w6"},
    {"prompt": "w8", "responses": [" w9", " w10 w11", " w6"]},
    {"prompt": "w5", "response": " w12 w13"},
]


def test_rewards_are_added(tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = write(tmp_path / "answers.jsonl", ROWS), tmp_path / "scored.jsonl"
    assert cli.main(["score", tiny_model(), str(file)]) == 0
    shown = read(capsys.readouterr().out)
    expected = reward_function(tiny_model())(
        ["w5", "w8", "w8", "w8", "w5"], [" w6", " w9", " w10 w11", " w6", " w12 w13"]
    )
    assert shown == [
        {**ROWS[0], "reward": pytest.approx(expected[0], abs=1e-6)},
        {**ROWS[1], "rewards": pytest.approx(expected[1:4], abs=1e-6)},
        {**ROWS[2], "reward": pytest.approx(expected[4], abs=1e-6)},
    ]
    (tmp_path / "answers.jsonl.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    arguments = [
        "score",
        tiny_model(),
        str(tmp_path / "answers.jsonl.gz"),
        "--output",
        str(output),
        "--batch-size",
        "2",
    ]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"3 lines\n{output}\n"
    for one, other in zip(read(output.read_text(encoding="utf-8")), shown, strict=True):
        assert one.get("reward") == pytest.approx(other.get("reward"), abs=1e-6)
    assert cli.main(arguments) == 2
    assert "scored.jsonl exists; remove it" in capsys.readouterr().err


@pytest.mark.slow
def test_standard_output_holds_nothing_but_results(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    """In a process of its own, where no other test has made the libraries say what they say once."""
    file = write(tmp_path / "answers.jsonl", ROWS)
    command = [sys.executable, "-m", "w2s_rm.cli", "score", tiny_model(), str(file)]
    environment = {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(read(done.stdout)) == len(ROWS)


def test_best_of_n(tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "question": row["prompt"]} for row in ROWS]
    file = write(tmp_path / "answers.jsonl", [{k: v for k, v in row.items() if k != "prompt"} for row in rows])
    assert cli.main(["score", tiny_model(), str(file), "--best-of-n", "--prompt-column", "question"]) == 0
    first, second = read(capsys.readouterr().out)
    two = dict(zip([" w6", " w12 w13"], reward_function(tiny_model())(["w5"] * 2, [" w6", " w12 w13"]), strict=True))
    best = max(two, key=two.__getitem__)
    assert first["question"] == "w5" and first["response"] == best and first["n"] == 2
    assert ("id" in first) is (best == " w6"), "other fields are those of the best response's line"
    assert first["reward"] == pytest.approx(two[best], abs=1e-6)
    assert first["mean_reward"] == pytest.approx(sum(two.values()) / 2, abs=1e-6)
    assert second["n"] == 3 and "responses" not in second and second["response"] in ROWS[1]["responses"]


def test_conversations_and_cutting(
    tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = {"prompt": [{"role": "user", "content": "w5"}], "response": [{"role": "assistant", "content": "w6"}]}
    file = write(tmp_path / "talk.jsonl", [turns])
    assert cli.main(["score", tiny_model(), str(file)]) == 2
    assert "has no chat template" in capsys.readouterr().err
    long = {"prompt": " ".join(f"w{n}" for n in range(20)), "response": " w5"}
    assert cli.main(["score", tiny_model(), str(write(file, [long])), "--max-length", "8"]) == 0
    (row,) = read(capsys.readouterr().out)
    assert row["reward"] == pytest.approx(reward_function(tiny_model(), max_length=8)([long["prompt"]], [" w5"])[0])


def test_all_problems_are_told_at_once(
    tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user, answer = [{"role": "user", "content": "w5"}], [{"role": "assistant", "content": "w6"}]
    rows = [
        {"prompt": "w5", "response": " w6"},
        "",
        '{"prompt": "w5", "respon',
        {"promt": "w5", "response": " w6"},
        {"prompt": "w5", "response": " "},
        ["w5", "w6"],
        {"prompt": user, "response": "w6"},
        {"prompt": answer, "response": user},
        {"prompt": "w5", "responses": []},
        {"prompt": "w5", "response": 3},
        {"prompt": user, "response": [{"role": "assistant", "content": ""}]},
        {"prompt": user, "response": answer},
        {},
    ]
    file = write(tmp_path / "bad.jsonl", rows)
    assert cli.main(["score", "nowhere", str(file)]) == 2, "before a model is looked for"
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == f"error: {file}: 11 problems:"
    wanted = [
        "line 3: broken JSON",
        "line 4: no field 'prompt' (did you mean 'promt'?); --prompt-column and --response-column name others",
        "line 5: the response is empty",
        "line 6: list instead of an object",
        "line 7: prompt is a conversation, response is text",
        "line 8: response begins with the role 'user'; are prompts and responses mixed up?",
        "line 9: responses is [], not a list of responses",
        "line 10: response is 3, neither text nor messages",
        "line 11: the response is empty",
        "line 13: no field 'prompt' (the line is empty); no field 'response'",
        "lines 1 are text, others conversations",
    ]
    assert len(shown) == 1 + len(wanted)
    for line, text in zip(shown[1:], wanted, strict=True):
        assert line.startswith(f"  - {text}")


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        (b"", [], "holds no lines"),
        (b'{"prompt": "w5", "response": "w6"}\n\xff\n', [], "bad.jsonl:2: not UTF-8"),
        (gzip.compress(b"x" * 999, mtime=0)[:-9], [], "gzip truncated or damaged"),
        (b'{"prompt": "w5", "response": "w6"}\n', ["--response-column", "prompt"], "are both the column 'prompt'"),
        (b'{"prompt": "w5", "response": "w6"}\n', ["--best-of-n"], "no prompt has more than one response"),
        (b'{"prompt": "w5", "response": "w6"}\n', ["--batch-size", "0"], "batch_size is 0"),
        (None, [], "bad.jsonl: no such file"),
    ],
)
def test_bad_files(
    content: bytes | None,
    options: list[str],
    text: str,
    tiny_model: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "bad.jsonl"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["score", tiny_model(), str(file), *options]) == 2
    shown = capsys.readouterr()
    assert text in shown.err and not shown.out


def test_nan_names_the_lines(
    tiny_model: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(tiny_model())
    model.score.weight.data[:] = torch.inf
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_model()).save_pretrained(tmp_path / "model")
    file, output = write(tmp_path / "answers.jsonl", ROWS[:1]), tmp_path / "out.jsonl"
    assert cli.main(["score", str(tmp_path / "model"), str(file), "--output", str(output)]) == 2
    assert "NaN or infinite reward for 1 of 1 responses" in (shown := capsys.readouterr().err)
    assert f"{file}:1 (prompt 'w5')" in shown
    assert not output.exists()
