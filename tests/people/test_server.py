"""The server answers the labeller's page and nobody else; labellers do not get in each other's way."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from w2s_rm.errors import DataError, InUseError
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
    with Server(sitting, {"title": "t", "question": "?"}, lambda: "all", "secret") as serving:
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ["a"]},
        {"key": {}},
        {"key": None},
        {"question": [1]},
        {"choice": [0]},
        {"choice": float("nan")},
        {"seconds": 10**400},
        {"seconds": -5},
        {"seconds": 1e308},
        {"seconds": float("inf")},
        {"seconds": None},
    ],
)
def test_what_is_no_answer_is_refused(server: Server, wrong: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    answer = {"key": "a", "question": list(server.sitting.asked)[0], "choice": 0, "seconds": 1}
    status, said = ask(server, "answers", {**answer, **wrong})
    assert status == 400 and next(iter(wrong)) in said and not server.sitting.path.exists()
    # A traceback would stand there.
    assert capfd.readouterr().err == ""


def test_an_answer_needs_a_choice_and_a_key_of_its_own(server: Server) -> None:
    first, second = list(server.sitting.asked)[:2]
    # Nothing takes an answer back that does not say so.
    status, said = ask(server, "answers", {"key": "a", "question": first, "seconds": 1})
    assert status == 400 and "needs a choice" in said
    answer = {"key": "a", "question": first, "choice": 0, "seconds": 1}
    assert ask(server, "answers", answer)[0] == 200
    status, said = ask(server, "answers", {**answer, "question": second})
    assert status == 400 and "key 'a' is that of an answer to another question" in said
    assert len(lines(server.sitting.path)) == 1


def test_a_labeller_has_one_server_and_one_address(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with holding(path, "anna") as hold:
        with pytest.raises(InUseError, match="anna is labelling it already; open the page of its server"):
            holding(path, "anna").__enter__()
        hold.listen_at(Address(12345, hold.last.token), 12344)
        with pytest.raises(InUseError, match=rf"open http://127.0.0.1:12345/{hold.last.token}/, end that server"):
            holding(path, "anna").__enter__()
        with holding(path, "ben") as other:
            assert other.last.token != hold.last.token and other.salt != hold.salt
    with holding(path, "anna") as again:
        assert again.last == Address(12345, hold.last.token) and (again.home, again.salt) == (12344, hold.salt)
        again.listen_at(Address(7, hold.last.token), 7)
    with holding(path, "anna") as again:
        assert (again.last.port, again.home) == (7, 7)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_file_is_one_by_whatever_link(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.jsonl"
    link.symlink_to(tmp_path / "labels.jsonl")
    said = pytest.raises(InUseError, match=r"link.jsonl: anna is labelling it already")
    with holding(tmp_path / "labels.jsonl", "anna"), said:
        holding(link, "anna").__enter__()


@pytest.mark.parametrize(
    "content",
    [
        '{"port": 1, "token": "abc"}}',
        "\0" * 20,
        '{"port": "x", "token": "abc"}',
        '{"port": 99999, "token": "abc"}',
        '{"port": true, "token": "abc"}',
        "[]",
        '{"port": 0}',
        '{"port": 5, "token": ""}',
        '{"port": 5, "token": "a/b"}',
        '{"port": 5, "token": "abc", "home": -1}',
    ],
)
def test_an_address_that_is_damaged_is_said(tmp_path: Path, content: str) -> None:
    place = tmp_path / ".labels.jsonl.anna.address"
    place.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"labels.jsonl.anna.address: holds no address of a labelling page; remove it"):
        holding(tmp_path / "labels.jsonl", "anna").__enter__()
    assert place.read_text(encoding="utf-8") == content


def test_an_address_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / ".labels.jsonl.anna.address").write_text('{"port": 5, "token": "abc"}', encoding="utf-8")
    with holding(tmp_path / "labels.jsonl", "anna") as hold:
        assert (hold.last, hold.home, len(hold.salt)) == (Address(5, "abc"), 5, 32)


def test_it_listens_at_the_first_port_that_is_free(server: Server) -> None:
    with Server(server.sitting, {}, str, "secret", (server.server_port, 0)) as other:
        free = other.server_port
        assert free != server.server_port and str(free) in str(other.address)
    with Server(server.sitting, {}, str, "secret", (server.server_port, free, 0)) as third:
        assert third.server_port == free
    with pytest.raises(OSError):
        Server(server.sitting, {}, str, "secret", (server.server_port,))


def test_a_page_whose_port_is_taken_comes_back(label: Callable[..., Label], pairs_file: Path, tmp_path: Path) -> None:
    """Answers may wait in a browser that has the page open at the first port."""
    task = ("preference", "path=pairs.jsonl", "n_train=20", "n_test=4", "--output", "labels.jsonl")
    first = label(*task)
    first.interrupt()
    port = urlsplit(first.address).port
    with socket.create_server(("127.0.0.1", port or 0)):
        with pytest.raises(AssertionError, match=rf"error: --port {port}: Address already in use; name another one"):
            label(*task, "--port", str(port))
        # Twice: the port where it was first is not forgotten.
        for _ in range(2):
            second = label(*task)
            said = second.said + second.interrupt()
            assert second.address != first.address
            assert f"keeps answers for {first.address}, free that port and start again with --port {port}" in said
    third = label(*task)
    assert third.address == first.address
    assert f"keeps answers for {second.address}, free" in third.said + third.interrupt()


def test_two_labellers_on_one_file(label: Callable[..., Label], pairs_file: Path, tmp_path: Path) -> None:
    task = ("preference", "path=pairs.jsonl", "n_train=20", "n_test=4", "--output", "labels.jsonl")
    anna, ben = label(*task, "--labeller", "anna"), label(*task, "--labeller", "ben")
    with pytest.raises(AssertionError, match="error: labels.jsonl: anna is labelling it already; open http"):
        label(*task, "--labeller", "anna")
    for server in (anna, ben):
        address = server.address.removeprefix("http://")
        connection = http.client.HTTPConnection(address.partition("/")[0], timeout=30)
        connection.request("GET", f"/{address.partition('/')[2]}state")
        state = json.loads(connection.getresponse().read())
        assert state["question"] == "Which one is better?"
        for name in state["asked"]:
            body = json.dumps({"key": f"{name}{server.address}", "question": name, "choice": 0, "seconds": 2})
            place = f"/{address.partition('/')[2]}answers"
            connection.request("POST", place, body, {"Content-Type": "application/json"})
            assert connection.getresponse().read()
    said = anna.interrupt()
    assert "labels.jsonl: 10 of 10 examples are answered by anna" in said and "anna, ben" in said
    assert len(lines(tmp_path / "labels.jsonl")) == 20
