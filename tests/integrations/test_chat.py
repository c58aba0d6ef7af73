"""A chat endpoint that hangs, is busy, breaks or says nothing: a small server in the test plays one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from signals import hear_ctrl_c

from w2s_rm.data.endpoints import Endpoint
from w2s_rm.errors import ConfigError, DataError, OptionError, W2SError
from w2s_rm.integrations.chat import Chat, _seconds

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
        self.broken = False


@pytest.fixture
def play() -> Iterator[Callable[[Answer], Script]]:
    started: list[Script] = []

    def start(answer: Answer) -> Script:
        started.append(Script(answer))
        threading.Thread(target=started[-1].serve_forever, args=(0.01,), daemon=True).start()
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
    # What was spent before counts, the refusal too.
    assert (again.requests, again.tokens) == (4, 21)


@pytest.mark.parametrize("status", [425, 429, 500, 501, 503, 522, 529])
def test_a_busy_or_broken_endpoint_is_asked_again(
    play: Callable[[Answer], Script], tmp_path: Path, status: int
) -> None:
    script = play(lambda request, number: request.say(status, "busy") if number < 2 else request.argue())
    assert chat(script, tmp_path)(["one"]) == ["because"]
    assert len(script.asked) == 3
    script.answer = lambda request, number: request.say(status, "busy \x1b[31m since\nnoon")
    said = rf'answers {status} \("busy .* since.*noon"\), 3 times in a row; answers that came are kept'
    with pytest.raises(DataError, match=said):
        chat(script, tmp_path)(["two"])


@pytest.mark.parametrize("dated", [False, True])
def test_it_waits_as_long_as_it_is_told(play: Callable[[Answer], Script], tmp_path: Path, dated: bool) -> None:
    def answer(request: Played, number: int) -> None:
        # A date has whole seconds: two from now are one at least.
        after = formatdate(time.time() + 2, usegmt=True) if dated else "0.75"
        request.say(429, Retry_After=after) if number == 0 else request.argue()

    script, start = play(answer), time.monotonic()
    chat(script, tmp_path)(["one"])
    assert time.monotonic() - start >= 0.75


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        (" 5 ", 5.0),
        ("", None),
        (None, None),
    ],
)
def test_how_long_it_is_told_to_wait(header: str | None, seconds: float | None) -> None:
    assert _seconds(header) == seconds


def test_an_endpoint_that_hangs_is_left(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    silent = threading.Event()
    script = play(lambda request, number: silent.wait(60) and None)
    with pytest.raises(DataError, match=r"no answer in 0.2 seconds, 2 times in a row"):
        chat(script, tmp_path, timeout=0.2, retries=1)(["one"])
    silent.set()


def test_an_answer_that_drips_is_left(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    """Each byte comes in time, and the answer does not."""
    enough = threading.Event()

    def answer(request: Played, number: int) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        while not enough.wait(0.1):
            request.wfile.write(b" ")

    script, start = play(answer), time.monotonic()
    with pytest.raises(DataError, match=r"no answer in 0.5 seconds, 2 times in a row"):
        chat(script, tmp_path, timeout=0.5, retries=1)(["one"])
    # Two times half a second, and not the 100 seconds of the whole answer.
    assert time.monotonic() - start < 30
    enough.set()


@pytest.mark.parametrize("status", [403, 503])
def test_a_refusal_whose_text_does_not_come(play: Callable[[Answer], Script], tmp_path: Path, status: int) -> None:
    silent = threading.Event()

    def answer(request: Played, number: int) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        silent.wait(60)

    with pytest.raises(W2SError, match=rf"answers {status}[;,]"):
        chat(play(answer), tmp_path, timeout=0.3, retries=0)(["one"])
    silent.set()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{}", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "breaks off"),
        (b"garbage\r\n\r\n", "speaks no HTTP"),
        (b"", "Remote end closed connection"),
        (b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe{}", "another form"),
    ],
)
def test_answers_that_break_off_are_asked_for_again(
    play: Callable[[Answer], Script], tmp_path: Path, sent: bytes, why: str
) -> None:
    def answer(request: Played, number: int) -> None:
        if number == 0 or request.server.broken:
            request.wfile.write(sent)
        else:
            request.argue()

    script = play(answer)
    assert chat(script, tmp_path)(["one"]) == ["because"]
    script.broken = True
    with pytest.raises(DataError, match=f"{why}.* 3 times in a row"):
        chat(script, tmp_path)(["two"])


@pytest.mark.parametrize("total", [-5, float("inf"), float("nan"), "many", None, [1]])
def test_tokens_that_make_no_sense_are_none(play: Callable[[Answer], Script], tmp_path: Path, total: Any) -> None:
    message = {"choices": [{"message": {"content": "so"}}]}
    script = play(lambda request, number: request.say(200, {**message, "usage": {"total_tokens": total}}))
    asking = chat(script, tmp_path)
    assert asking(["one"]) == ["so"] and asking.tokens == 0
    script.answer = lambda request, number: request.say(200, {**message, "usage": total})
    assert asking(["two"]) == ["so"] and asking.tokens == 0


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
    script = play(lambda request, number: request.say(400, "no"))
    with pytest.raises(ConfigError, match=r'answers 400 \("no"\); check url, model and the key in OPENAI_API_KEY'):
        chat(script, tmp_path)(["one"])
    other = play(lambda request, number: request.argue())
    place = f"http://127.0.0.1:{other.server_port}/v1/chat/completions"
    script.answer = lambda request, number: request.say(307, Location=place)
    with pytest.raises(ConfigError, match=rf"answers 307 and leads to {place}; the key goes nowhere else"):
        chat(script, tmp_path)(["one"])
    assert len(script.asked) == 2 and not other.asked


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\r"])
def test_a_key_has_no_blanks_around_it(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{end}secret-key{end}")
    script = play(lambda request, number: request.argue())
    chat(script, tmp_path)(["one"])
    assert script.asked[0][1]["Authorization"] == "Bearer secret-key"


@pytest.mark.parametrize("key", ["secret\nX-More: 1", "secret key", "secret…", "sécret", "secret\x07"])
def test_what_is_no_key_is_refused_and_not_shown(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    script = play(lambda request, number: request.argue())
    with pytest.raises(ConfigError) as caught:
        chat(script, tmp_path, key_variable="MY_KEY")
    said = "".join(traceback.format_exception(caught.value))
    assert "the key in MY_KEY holds blanks, control characters or letters" in said
    assert "cret" not in said and not script.asked


@pytest.mark.parametrize("status", [200, 307, 401, 503])
def test_a_key_that_is_said_again_is_not_repeated(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    key = "key-" + "0123456789" * 30
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def answer(request: Played, number: int) -> None:
        if status == 200:
            request.argue(f"you said {request.headers['Authorization']}")
        else:
            heard = f"I heard {request.headers['Authorization']}"
            # In the line of the status, in the text, and where it leads.
            request.wfile.write(f"HTTP/1.0 {status} {heard}\r\nLocation: http://x/{heard}\r\n\r\n{heard}".encode())

    asking = chat(play(answer), tmp_path)
    if status == 200:
        assert asking(["one"]) == ["you said Bearer (the key)"]
    else:
        with pytest.raises(W2SError) as caught:
            asking(["one"])
        said = "".join(traceback.format_exception(caught.value))
        assert "(the key)" in said and "0123456789" not in said
    assert "0123456789" not in (tmp_path / ".answers.jsonl").read_text()


def test_a_refusal_that_breaks_off_is_shown_as_far_as_it_came(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    def answer(request: Played, number: int) -> None:
        request.wfile.write(b"HTTP/1.0 400 Bad\r\nContent-Length: 50\r\n\r\nno such model")

    with pytest.raises(ConfigError, match=r"answers 400 \(no such model\)"):
        chat(play(answer), tmp_path)(["one"])


def test_a_word_that_stands_for_a_key_may_be_in_an_answer(
    play: Callable[[Answer], Script], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    asking = chat(play(lambda request, number: request.argue("the latest contest")), tmp_path)
    assert asking(["one"]) == ["the latest contest"]


@pytest.mark.parametrize(("budget", "made"), [({"max_requests": 3}, 3), ({"max_tokens": 14}, 2)])
def test_a_budget_is_kept(play: Callable[[Answer], Script], tmp_path: Path, budget: dict[str, int], made: int) -> None:
    script = play(lambda request, number: request.argue())
    (name,) = budget
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"the budget of {budget[name]} .* is spent; raise {name}"):
            chat(script, tmp_path, **budget)([f"request {n}" for n in range(9)])
    assert len(script.asked) == made


def test_what_came_to_nothing_counts(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    """In this stage, and in one that goes on."""
    empty = {"choices": [{"message": {"content": ""}}], "usage": {"total_tokens": 500}}
    script = play(lambda request, number: request.say(200, empty))
    with pytest.raises(ConfigError, match="the budget of 600 tokens is spent"):
        chat(script, tmp_path, max_tokens=600)(["one"])
    assert len(script.asked) == 2
    script.answer = lambda request, number: request.say(500)
    with pytest.raises(DataError, match="3 times in a row"):
        chat(script, tmp_path)(["one"])
    again = chat(script, tmp_path, max_requests=6)
    assert (again.requests, again.tokens) == (5, 1000)
    with pytest.raises(ConfigError, match="the budget of 6 requests is spent"):
        again(["one"])
    assert len(script.asked) == 6


def test_after_an_error_nobody_asks_again(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    """Three of four are told to come again in a minute, and then the fourth is refused."""
    meeting = threading.Barrier(4, timeout=60)

    def answer(request: Played, number: int) -> None:
        last = meeting.wait() == 0
        if last:
            # The others have their answers by then, or get them at once.
            time.sleep(0.2)
        request.say(400, "no") if last else request.say(429, Retry_After="60")

    script, start = play(answer), time.monotonic()
    with pytest.raises(ConfigError, match="answers 400"):
        chat(script, tmp_path, at_once=4)([f"request {n}" for n in range(8)])
    assert len(script.asked) == 4 and time.monotonic() - start < 30
    assert len((tmp_path / ".answers.jsonl").read_text().splitlines()) == 4


def test_after_an_interrupt_nobody_asks_again(play: Callable[[Answer], Script], tmp_path: Path) -> None:
    """In a process of its own, as Ctrl-C ends it."""
    asked = threading.Event()

    def answer(request: Played, number: int) -> None:
        request.say(429, Retry_After="60")
        asked.set()

    script = play(answer)
    code = (
        "import sys; from pathlib import Path; from w2s_rm.data.endpoints import Endpoint\n"
        "from w2s_rm.integrations.chat import Chat\n"
        "endpoint = Endpoint(sys.argv[1], 'big', at_once=1)\n"
        "Chat(endpoint, Path(sys.argv[2]), max_new_tokens=9, temperature=0.5, seed=3)(['one', 'two'])"
    )
    url = f"http://127.0.0.1:{script.server_port}/v1"
    command = [sys.executable, "-c", code, url, str(tmp_path / "kept")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c)
    assert asked.wait(60)
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said and time.monotonic() - start < 30
    assert len(script.asked) == 1


@pytest.mark.parametrize("line", ['{"request": "x"}', "garbage", "[]", '{"request": "x", "answer": 1, "tokens": 2}'])
def test_answers_that_are_damaged_are_said(play: Callable[[Answer], Script], tmp_path: Path, line: str) -> None:
    script = play(lambda request, number: request.argue())
    chat(script, tmp_path)(["one"])
    with (tmp_path / ".answers.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"\.answers\.jsonl:2: no answer of an endpoint; remove the line"):
        chat(script, tmp_path)


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


@pytest.mark.parametrize("url", ["https://me:secret@example.org/v1", "http://x/v1?key=secret", "http://x/v1#secret"])
def test_a_key_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(OptionError, match="url holds more than an address; put the key into the env") as caught:
        Endpoint(url, "big")
    assert "secret" not in str(caught.value)
    with pytest.raises(OptionError, match="url is no address") as caught:
        Endpoint(url.replace("x/", "[/").replace("example.org", "[example.org"), "big")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "sk-secret", "secret key", "1secret", "sécret"])
def test_a_key_in_place_of_its_variable_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(OptionError, match="key_variable is no name of an environment variable; give") as caught:
        Endpoint("http://localhost/v1", "big", key_variable=name)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://localhost:abc/v1",
        "http://localhost:99999/v1",
        "http://localhost:0/v1",
        "http://ex ample/v1",
        "http://localhost/v 1",
        "http://localhost/v1\n",
        "http://localhost/gööd",
        "http://a..b/v1",
        "http://exämple/v1",
        "http:///v1",
        "ftp://x/v1",
        f"http://{'a' * 64}/v1",
    ],
)
def test_addresses_that_nobody_can_ask(url: str) -> None:
    with pytest.raises(OptionError, match="endpoint: url is .*; give an address such as http://localhost:8000/v1"):
        Endpoint(url, "big")


@pytest.mark.parametrize("url", ["http://[::1]:8000/v1", "https://example.org", "http://x/@cf/v1", "HTTP://X:1/"])
def test_addresses_that_can_be_asked(url: str) -> None:
    assert Endpoint(url, "big").url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", float("inf")),
        ("timeout", 1e10),
        ("timeout", float("nan")),
        ("pause", float("nan")),
        ("pause", float("inf")),
        ("pause", -1.0),
        ("model", " "),
    ],
)
def test_numbers_and_names_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"endpoint: {name} is "):
        Endpoint(**{"url": "http://localhost/v1", "model": "big", name: value})
