"""A chat endpoint that hangs, is busy, breaks or says nothing: a small server in the test plays one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.data.endpoints import Endpoint
from w2s_rm.errors import ConfigError, DataError, OptionError
from w2s_rm.integrations.chat import Chat

Answer = Callable[["Played", int], None]


class Played(BaseHTTPRequestHandler):
    """Answers as the script of its server says, which knows how many requests came before."""

    server: Script

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append((self.path, dict(self.headers), body))
        self.server.answer(self, number)

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(sent)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(sent)

    def argue(self, text: str = "because") -> None:
        message = {"role": "assistant", "content": text}
        self.say(200, {"choices": [{"message": message}], "usage": {"total_tokens": 7}})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Script(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Played)
        self.answer, self.asked, self.lock = answer, list[tuple[str, dict[str, str], Any]](), threading.Lock()


@pytest.fixture
def play() -> Iterator[Callable[[Answer], Script]]:
    started: list[Script] = []

    def start(answer: Answer) -> Script:
        started.append(Script(answer))
        threading.Thread(target=started[-1].serve_forever, daemon=True).start()
        return started[-1]

    yield start
    for script in started:
        script.shutdown()
        script.server_close()


def chat(script: Script, folder: Path, **options: Any) -> Chat:
    given = {"pause": 0.01, "retries": 2, "at_once": 1, **options}
    endpoint = Endpoint(f"http://127.0.0.1:{script.server_port}/v1", "big", **given)
    return Chat(endpoint, folder / ".answers.jsonl", max_new_tokens=9, temperature=0.5, seed=3)


def test_what_is_asked_and_answered(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key")
    script = play(lambda request, number: request.argue(f"argument {number}"))
    asking = chat(script, tmp_path, key_variable="MY_KEY")
    assert asking(["one", "two", "one"]) == ["argument 0", "argument 1", "argument 0"]
    path, headers, body = script.asked[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret-key"
    assert body == {
        "model": "big",
        "messages": [{"role": "user", "content": "one"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 3,
    }
    assert (asking.requests, asking.tokens) == (2, 14)
    assert "secret-key" not in (tmp_path / ".answers.jsonl").read_text()
    monkeypatch.delenv("MY_KEY")
    chat(script, tmp_path, key_variable="MY_KEY")(["three"])
    assert "Authorization" not in script.asked[-1][1]


def test_what_was_answered_is_not_asked_again(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    script = play(lambda request, number: request.argue() if number < 2 else request.say(400, "no"))
    with pytest.raises(ConfigError, match="answers 400"):
        chat(script, tmp_path)(["one", "two", "three"])
    script.answer = lambda request, number: request.argue("late")
    # A line that was not written to its end is asked again.
    with (tmp_path / ".answers.jsonl").open("a") as file:
        file.write('{"request": "x')
    again = chat(script, tmp_path)
    assert again(["one", "two", "three"]) == ["because", "because", "late"]
    assert [body["messages"][0]["content"] for _, _, body in script.asked] == ["one", "two", "three", "three"]
    # What was spent before counts.
    assert (again.requests, again.tokens) == (3, 21)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_endpoint_is_asked_again(
    play: Callable[[Answer], Script], tmp_path: Path, status: int
) -> None:
    script = play(lambda request, number: request.say(status) if number < 2 else request.argue())
    assert chat(script, tmp_path)(["one"]) == ["because"]
    assert len(script.asked) == 3
    script.answer = lambda request, number: request.say(status)
    with pytest.raises(DataError, match=rf"answers {status}, 3 times in a row; answers that came are kept"):
        chat(script, tmp_path)(["two"])


def test_it_waits_as_long_as_it_is_told(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    script = play(lambda request, number: request.say(429, Retry_After="1") if number == 0 else request.argue())
    start = time.monotonic()
    chat(script, tmp_path)(["one"])
    assert time.monotonic() - start >= 1


def test_an_endpoint_that_hangs_is_left(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    silent = threading.Event()
    script = play(lambda request, number: silent.wait(60) and None)
    with pytest.raises(DataError, match=r"no answer in 0.2 seconds, 2 times in a row"):
        chat(script, tmp_path, timeout=0.2, retries=1)(["one"])
    silent.set()


def test_an_endpoint_that_is_not_there(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    script = play(lambda request, number: request.argue())
    asking = chat(script, tmp_path)
    script.shutdown()
    script.server_close()
    with pytest.raises(DataError, match="Connection refused, 3 times in a row"):
        asking(["one"])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"choices": [{"message": {"content": "  "}}]}, "writes nothing"),
        ({"choices": [{"message": {"content": None}}]}, "writes nothing"),
        ({"choices": []}, "answers in another form than that of chat completions"),
        ("hello", "answers in another form than that of chat completions"),
    ],
)
def test_answers_that_are_none(play: Callable[[Answer], Script], tmp_path: Path, body: Any, why: str) -> None:
    script = play(lambda request, number: request.say(200, body))
    with pytest.raises(DataError, match=f"{why}, 3 times in a row"):
        chat(script, tmp_path)(["one"])


def test_a_refusal_is_told_at_once_and_a_key_goes_nowhere_else(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    other = play(lambda request, number: request.argue())
    place = f"http://127.0.0.1:{other.server_port}/v1/chat/completions"
    script = play(lambda request, number: request.say(307, Location=place))
    with pytest.raises(ConfigError, match=r"answers 307 .*check url, model and the key in OPENAI_API_KEY"):
        chat(script, tmp_path)(["one"])
    assert len(script.asked) == 1 and not other.asked


@pytest.mark.parametrize(("budget", "made"), [({"max_requests": 3}, 3), ({"max_tokens": 14}, 2)])
def test_a_budget_is_kept(play: Callable[[Answer], Script], tmp_path: Path, budget: dict[str, int], made: int) -> None:
    script = play(lambda request, number: request.argue())
    (name,) = budget
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"the budget of {budget[name]} .* is spent; raise {name}"):
            chat(script, tmp_path, **budget)([f"request {n}" for n in range(9)])
    assert len(script.asked) == made


def test_requests_are_made_at_once(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    meeting = threading.Barrier(4, timeout=60)

    def answer(request: Played, number: int) -> None:
        meeting.wait()
        request.argue(request.path)

    assert len(chat(play(answer), tmp_path, at_once=4)([f"request {n}" for n in range(8)])) == 8


def test_options_that_cannot_be() -> None:
    with pytest.raises(OptionError) as caught:
        Endpoint("localhost:8000", "big", timeout=0, retries=-1, at_once=0, max_tokens=0)
    said = str(caught.value)
    assert all(name in said for name in ("url is 'localhost:8000'", "timeout", "retries", "at_once", "max_tokens"))
    with pytest.raises(OptionError, match="put the key into the environment variable OPENAI_API_KEY"):
        Endpoint("https://me:secret@example.org/v1", "big")
