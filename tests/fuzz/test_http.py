"""Requests that no browser sends: a server answers or closes, and nothing in it fails."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from socketserver import BaseServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_rm.files import write_text
from w2s_rm.people.questions import questions
from w2s_rm.people.server import Server
from w2s_rm.people.sitting import Sitting
from w2s_rm.types import Example
from w2s_rm.view.server import ViewServer

SECRET = b"the secret"
METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS", "BREW", "get", "")
TARGETS = (
    "/",
    "/state.json",
    "/compare.json",
    "/report/",
    "/report/small",
    "/token/",
    "/token/state",
    "/token/answers",
)
TAILS = ("", "..", "../..", "%2e%2e/", "%00", "%", "%zz", "?run=", "?run=small&first=%FF", "//x", "\\", "questions/0")
HEADERS = ("Host", "Origin", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Range", "Expect")
VALUES = (
    "",
    "localhost",
    "evil.example",
    "[",
    "[::1]:x",
    "-1",
    "1e3",
    "0x10",
    "9" * 5000,
    "application/json",
    "chunked",
)
BODIES = (b"", b"{}", b"[]", b"{", b"\xff", b'{"id": 1}', b'{"id": "a", "choice": 1e999}', b"[" * 5000)


@st.composite
def requests(draw: Any, port: int) -> bytes:
    """Bytes that look like a request, more or less: a right host in most of them, or nothing else would be tried."""
    method, target = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)) + draw(st.sampled_from(TAILS))
    version = draw(st.sampled_from(("HTTP/1.1", "HTTP/1.0", "HTTP/9", "")))
    names = st.sampled_from(HEADERS) | st.text("aZ-:\t é", max_size=5)
    given_headers = draw(st.lists(st.tuples(names, st.sampled_from(VALUES) | st.text(max_size=8)), max_size=4))
    host = [("Host", f"127.0.0.1:{port}")] if draw(st.integers(0, 3)) else []
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in [*host, *given_headers])]
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass")
    return head + b"\r\n\r\n" + draw(st.sampled_from(BODIES))


@st.composite
def answers(draw: Any, port: int) -> bytes:
    """What would be an answer, but for its length or its body."""
    body = draw(st.sampled_from(BODIES) | st.binary(max_size=20))
    length = draw(st.sampled_from((*VALUES, str(len(body)), "70000", "\u00b2")))
    head = f"POST /token/answers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1") + body


def sent(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except OSError:
            # The server has closed it already: what it did not read of a request that it refuses is lost.
            return answer
    return answer


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[BaseServer], list[str]]]:
    """Run a server in a thread; what fails in it is listed."""
    running: list[tuple[BaseServer, threading.Thread]] = []

    def start(server: BaseServer) -> list[str]:
        failed: list[str] = []
        said = server.handle_error

        def handle_error(request: Any, address: Any) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):
                failed.append(repr(sys.exc_info()[1]))
                said(request, address)

        server.handle_error = handle_error  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return failed

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_view(serve: Callable[[BaseServer], list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("viewed")
    write_text(folder / "report.html", SECRET.decode())
    write_text(folder / "runs" / "small" / "notes.txt", SECRET.decode())
    server = ViewServer(folder / "runs", 0)
    failed = serve(server)

    @given(requests(server.server_port))
    def try_one(request: bytes) -> None:
        assert SECRET not in sent(server.server_port, request)
        assert not failed

    try_one()
    host = f"127.0.0.1:{server.server_port}"
    assert sent(server.server_port, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")


def test_the_labelling_page(serve: Callable[[BaseServer], list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    output = tmp_path_factory.mktemp("labelled") / "labels.jsonl"
    examples = [Example(f"e{n}", f"g{n}", f"p{n}", ("good", "bad"), 0) for n in range(4)]
    sitting = Sitting(output, "anna", questions(examples, "anna", has_classes=False), True)
    server = Server(sitting, {"title": "t", "question": "?"}, lambda: "all", "token")
    failed = serve(server)

    for kind in (requests, answers):

        @given(kind(server.server_port))
        def try_one(request: bytes) -> None:
            sent(server.server_port, request)
            assert not failed

        try_one()
    host = f"127.0.0.1:{server.server_port}"
    request = f"GET /token/state HTTP/1.1\r\nHost: {host}\r\n\r\n"
    assert sent(server.server_port, request.encode()).startswith(b"HTTP/1.1 200")
    # Nothing that was said so was an answer.
    assert not output.exists() or output.read_bytes() == b""
