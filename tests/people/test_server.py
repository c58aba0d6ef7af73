"""The server answers the labeller's page and nobody else; labellers do not get in each other's way."""

from __future__ import annotations

import http.client
import json
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import InUseError
from w2s_rm.people.address import Address, holding
from w2s_rm.people.questions import questions
from w2s_rm.people.server import Server
from w2s_rm.people.sitting import Sitting
from w2s_rm.types import Example

from .conftest import Label, lines

EXAMPLES = [Example(f"e{n}", f"g{n}", f"p{n} \ud800", ("good", "bad"), 0) for n in range(4)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    sitting = Sitting(tmp_path / "labels.jsonl", "anna", questions(EXAMPLES, "anna", has_classes=False), True)
    with Server(sitting, {"title": "t", "question": "?"}, lambda: "all", Address(0, "secret")) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def ask(
    server: Server,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    token: str = "secret",
    raw: str | None = None,
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    sent = raw if body is None else json.dumps(body)
    given = {} if body is None else {"Content-Type": "application/json"}
    connection.request("GET" if sent is None else "POST", f"/{token}/{path}", sent, {**given, **(headers or {})})
    answer = connection.getresponse()
    said = answer.read().decode()
    assert (
        answer.headers["Cache-Control"] == "no-store"
        and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    )
    connection.close()
    return answer.status, said


def test_it_serves_the_page_and_its_parts(server: Server) -> None:
    assert "<script src=" in ask(server, "")[1]
    for name in ("page.css", "page.js", "report.css", "texts.js"):
        assert ask(server, name)[0] == 200
    state = json.loads(ask(server, "state")[1])
    assert state["title"] == "t" and len(state["asked"]) == 4 and state["ties"]
    shown = json.loads(ask(server, f"questions/{state['asked'][0]}")[1])
    # Half a character, which a dataset may hold, comes as it is.
    assert shown["prompt"] == "p0 \ud800" and sorted(shown["candidates"]) == ["bad", "good"]
    assert ask(server, "summary") == (200, "all")
    for wrong in ("questions/x", "labels.jsonl", "../x", "page.html"):
        assert ask(server, wrong)[0] == 404


def test_others_get_nothing(server: Server) -> None:
    assert ask(server, "state", token="wrong")[0] == 403
    for name in ("evil.example", "evil.example:80", "", "[", "127.0.0.1.evil.example"):
        assert ask(server, "state", headers={"Host": name})[0] == 403
    assert ask(server, "state", headers={"Host": "localhost:9"})[0] == 200
    answer = {"key": "a", "question": list(server.sitting.asked)[0], "choice": 0, "seconds": 1}
    for origin in ("http://evil.example", "null"):
        assert ask(server, "answers", answer, {"Origin": origin})[0] == 403
    assert ask(server, "answers", answer, {"Content-Type": "text/plain"})[0] == 404
    assert not server.sitting.path.exists()


def test_answers_are_written_or_refused(server: Server) -> None:
    answer = {"key": "a", "question": list(server.sitting.asked)[0], "choice": 0, "seconds": 1}
    origin = {"Origin": f"http://127.0.0.1:{server.server_port}"}
    assert [ask(server, "answers", answer, origin)[0] for _ in range(2)] == [200, 200]
    assert len(lines(server.sitting.path)) == 1
    for wrong in ({**answer, "key": "b", "choice": 7}, [1], "a"):
        assert ask(server, "answers", wrong)[0] == 400
    # What Python's own reader gives up on.
    assert ask(server, "answers", headers={"Content-Type": "application/json"}, raw="[" * 60_000)[0] == 400
    assert ask(server, "answers", {**answer, "key": "x" * 70_000})[0] == 413
    # A folder in the file's place: nothing can be written.
    server.sitting.path.unlink()
    server.sitting.path.mkdir()
    status, said = ask(server, "answers", {**answer, "key": "c"})
    assert status == 507 and "labels.jsonl: Is a directory" in said


def test_many_answers_at_once_are_all_written(server: Server) -> None:
    name = list(server.sitting.asked)[0]
    answers = [{"key": f"k{n % 20}", "question": name, "choice": n % 2, "seconds": 1} for n in range(40)]
    threads = [threading.Thread(target=ask, args=(server, "answers", answer)) for answer in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["key"] for line in lines(server.sitting.path)) == sorted(f"k{n}" for n in range(20))


def test_a_labeller_has_one_server_and_one_address(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with holding(path, "anna") as hold:
        with pytest.raises(InUseError, match="anna is labelling it already; open the page of its server"):
            holding(path, "anna").__enter__()
        hold.listen_at(Address(12345, hold.last.token))
        with pytest.raises(InUseError, match=rf"open http://127.0.0.1:12345/{hold.last.token}/, end that server"):
            holding(path, "anna").__enter__()
        with holding(path, "ben") as other:
            assert other.last.token != hold.last.token
    with holding(path, "anna") as again:
        assert again.last == Address(12345, hold.last.token)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_port_that_is_taken_is_another_one(server: Server) -> None:
    with Server(server.sitting, {}, str, Address(server.server_port, "secret")) as other:
        assert other.server_port != server.server_port and str(other.server_port) in str(other.address)


def test_two_labellers_on_one_file(label: Callable[..., Label], pairs_file: Path, tmp_path: Path) -> None:
    task = ("preference", "path=pairs.jsonl", "n_train=20", "n_test=4", "--output", "labels.jsonl")
    anna, ben = label(*task, "--labeller", "anna"), label(*task, "--labeller", "ben")
    with pytest.raises(AssertionError, match="error: labels.jsonl: anna is labelling it already; open http"):
        label(*task, "--labeller", "anna")
    for server in (anna, ben):
        address = server.address.removeprefix("http://")
        connection = http.client.HTTPConnection(address.partition("/")[0], timeout=30)
        connection.request("GET", f"/{address.partition('/')[2]}state")
        for name in json.loads(connection.getresponse().read())["asked"]:
            body = json.dumps({"key": f"{name}{server.address}", "question": name, "choice": 0, "seconds": 2})
            place = f"/{address.partition('/')[2]}answers"
            connection.request("POST", place, body, {"Content-Type": "application/json"})
            assert connection.getresponse().read()
    said = anna.interrupt()
    assert "labels.jsonl: 10 of 10 examples are answered by anna" in said and "anna, ben" in said
    assert len(lines(tmp_path / "labels.jsonl")) == 20
