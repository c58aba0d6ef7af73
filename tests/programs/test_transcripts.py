"""Transcripts by a real language model, and by an endpoint."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.programs.arguing import Writer
from w2s_rm.programs.transcripts import argue, transcripts
from w2s_rm.runs.folder import StageFolder
from w2s_rm.types import Example, Step

EXAMPLES = [Example(f"e{n}", f"g{n}", "w3 w4 " * (n % 4 + 1), (f" w{n + 5}", " w2"), 0) for n in range(9)]
CONFIG = {
    "stage": "transcripts",
    "form": "debate",
    "turns": 2,
    "ask": "{prompt}{candidate}{said}",
    "show": "{candidate} {argument}",
    "max_new_tokens": 4,
    "temperature": 1.0,
    "number": 0,
    "seed": 0,
}


def run(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    write_examples(folder / "given.parquet", EXAMPLES)
    config = {**CONFIG, "examples": str(folder / "given.parquet"), **changes}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    transcripts(["--config", str(folder / "config.yaml"), "--output_dir", str(folder / "out")])
    debates = map(json.loads, (folder / "out" / "transcripts.jsonl").read_text().splitlines())
    return [{"id": debate["id"], **said} for debate in debates for said in debate["arguments"]]


def test_each_side_speaks_in_each_turn_and_knows_the_turns_before() -> None:
    asked: list[str] = []

    def write(requests: Any) -> list[str]:
        asked.extend(requests)
        return [f"<{len(asked) - len(requests) + place}>" for place in range(len(requests))]

    said = argue(EXAMPLES[:1], CONFIG, write)
    assert [(one.turn, one.candidate, one.text) for one in said] == [
        (0, 0, "<0>"),
        (0, 1, "<1>"),
        (1, 0, "<2>"),
        (1, 1, "<3>"),
    ]
    first = "w3 w4  w5"
    assert asked[0] == f"{first} nothing" and asked[2] == f"{first} w5 <0> w2 <1>"


def test_a_language_model_argues_and_equal_seeds_say_the_same(
    tmp_path: Path, tiny_language_model: Callable[..., str]
) -> None:
    model = {"model_name_or_path": tiny_language_model()}
    lines = run(tmp_path / "a", **model)
    assert len(lines) == 9 * 2 * 2 and len({line["text"] for line in lines}) > 20
    argued = read_examples(tmp_path / "a" / "out" / "examples.parquet")
    for example, given in zip(argued, EXAMPLES, strict=True):
        own = [line for line in lines if line["id"] == given.id]
        shown = "".join(f"{given.candidates[line['candidate']]} {line['text']}" for line in own)
        assert example.prompt == f"{given.prompt}{shown}" and example.candidate_ids == given.candidate_ids
    assert run(tmp_path / "b", **model) == lines
    assert run(tmp_path / "c", **model, number=1) != lines
    alone = run(tmp_path / "d", **model, form="consultancy")
    assert len(alone) == 9 * 2 and {line["candidate"] for line in alone} == {0, 1}
    counts = StageFolder(tmp_path / "a" / "out").manifest()["counts"]
    assert counts["arguments"] == 36 and counts["longest"] == max(len(line["text"]) for line in lines)


def test_a_debater_is_loaded_in_the_type_that_it_is_given(tiny_language_model: Callable[..., str]) -> None:
    path = tiny_language_model()
    plain, half = (Writer(path, 4, 1.0, 0, options) for options in ({}, {"dtype": "bfloat16"}))
    assert (plain.model.dtype, half.model.dtype) == (torch.float32, torch.bfloat16)
    eager = Writer(path, 4, 1.0, 0, {"attn_implementation": "eager"})
    assert eager.model.config._attn_implementation == "eager" != plain.model.config._attn_implementation


def test_at_temperature_0_batches_do_not_count(
    tmp_path: Path, tiny_language_model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"model_name_or_path": tiny_language_model(), "temperature": 0}
    lines = run(tmp_path / "a", **model)
    monkeypatch.setattr("w2s_rm.programs.arguing._BATCH", 1)
    assert run(tmp_path / "b", **model) == lines


def test_what_does_not_fit_into_the_window_is_refused(tmp_path: Path, tiny_language_model: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match=r"an argument up to 300, more than the model's window of 256"):
        run(tmp_path / "a", model_name_or_path=tiny_language_model(), max_new_tokens=300)
    with pytest.raises(ConfigError, match="no tokenizer loads from"):
        run(tmp_path / "b", model_name_or_path=str(tmp_path))


class Endpoint(BaseHTTPRequestHandler):
    """Repeats the last word; every third time it is too busy."""

    asked = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Endpoint.asked += 1
        said = body["messages"][0]["content"].split()[-1]
        busy = Endpoint.asked % 3 == 0
        answer = b"{}" if busy else json.dumps({"choices": [{"message": {"content": f"indeed {said}"}}]}).encode()
        self.send_response(429 if busy else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def test_an_endpoint_argues_and_goes_on_after_its_budget(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = {"url": f"http://127.0.0.1:{server.server_port}", "model": "m", "pause": 0, "at_once": 1}
    with pytest.raises(ConfigError, match="the budget of 10 requests is spent"):
        run(tmp_path / "a", endpoint={**endpoint, "max_requests": 10}, turns=1)
    assert Endpoint.asked == 10
    lines = run(tmp_path / "a", endpoint=endpoint, turns=1)
    assert [line["text"] for line in lines[:2]] == ["indeed nothing"] * 2 and len(lines) == 18
    # 18 answers, and no more refusals than every third request.
    assert Endpoint.asked <= 28
    assert [path.name for path in (tmp_path / "a" / "out").glob(".answers*")] == []
    counts = StageFolder(tmp_path / "a" / "out").manifest()["counts"]
    assert counts["requests"] >= 18
    server.shutdown()
    server.server_close()


def test_steps_of_solutions_are_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Example("s", "g", "w3", (" w1", " w2"), 0, step=Step("s", 0, True, (2,)))
    monkeypatch.setattr(sys.modules[__name__], "EXAMPLES", [step])
    with pytest.raises(DataError, match="debates are about answers"):
        run(tmp_path / "a", model_name_or_path=str(tmp_path))


def test_a_model_that_says_nothing_is_refused(tmp_path: Path, tiny_language_model: Callable[..., str]) -> None:
    path = tiny_language_model()
    model: Any = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        # All words are equally likely, and the first of them is padding.
        model.lm_head.weight.zero_()
    model.save_pretrained(tmp_path / "silent")
    AutoTokenizer.from_pretrained(path).save_pretrained(tmp_path / "silent")
    with pytest.raises(DataError, match="writes nothing where it should argue; change `ask`"):
        run(tmp_path / "a", model_name_or_path=str(tmp_path / "silent"), temperature=0)
