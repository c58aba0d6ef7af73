"""The server of the view: on the loopback address, for reading only.

Nothing in an address is ever joined to a path: a run is looked up by its name among those that are there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from w2s_rm.errors import ConfigError
from w2s_rm.render.loopback import LoopbackServer
from w2s_rm.view.page import view_page
from w2s_rm.view.places import Places, within
from w2s_rm.view.state import PAGE, Viewer

ADDRESS = "127.0.0.1"
_JSON, _HTML = "application/json", "text/html; charset=utf-8"
# A connection that says nothing for so long is closed.
_PATIENCE_S = 30
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# A report lies in a folder that may come from elsewhere: its page has an origin of its own, and cannot ask for others.
_SANDBOX = {"Content-Security-Policy": "sandbox allow-scripts allow-downloads"}
# What browsers ask for on their own, for a report too, whose origin is none: refused, it is an error in the console.
_ICON, _NO_ICON = "/favicon.ico", {"Cross-Origin-Resource-Policy": "cross-origin"}

Answer = tuple[HTTPStatus, str, bytes, dict[str, str]]


class ViewServer(LoopbackServer):
    """Serves a folder of runs.

    Args:
        runs (`Path`): The folder of all runs.
        port (`int`): The port; 0 takes one that is free.

    Raises:
        ConfigError: There is no such folder, or the port is taken.
    """

    def __init__(self, runs: Path, port: int) -> None:
        if not runs.is_dir():
            raise ConfigError(f"{runs}: no such folder; give the folder of all runs")
        self.viewer = Viewer(Places(runs.resolve()))
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise ConfigError(f"--port {port}: {error.strerror}; give another one, or 0 for any") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server_version, sys_version = "w2s-rm", ""

    def do_GET(self) -> None:
        """Answer."""
        try:
            answer = self._answer()
        except OSError:
            # A folder that was removed meanwhile, or may not be read: the page says so, and asks again.
            answer = _nothing(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(answer)

    do_HEAD = do_GET

    def _refuse_method(self) -> None:
        # A body may follow that was not read, and would be taken for the next request.
        self.close_connection = True
        self._send((HTTPStatus.METHOD_NOT_ALLOWED, _JSON, b"", {"Allow": "GET, HEAD"}))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse_method

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: a page asks every few seconds."""

    def _answer(self) -> Answer:
        # A page from elsewhere whose name was made to lead here, which a browser would let read what it is given.
        if self.headers.get_all("Host") not in [
            [f"{name}:{self.server.server_port}"] for name in (ADDRESS, "localhost")
        ]:
            return _nothing(HTTPStatus.FORBIDDEN)
        path, _, query = self.path.partition("?")
        # Counted first: `parse_qs` raises where there are more.
        asked = parse_qs(query, max_num_fields=1000) if query.count("&") < 1000 else {}
        viewer = self.server.viewer
        if path == "/":
            return HTTPStatus.OK, _HTML, view_page().encode(), {}
        if path == "/state.json":
            return _json(viewer.state(asked.get("run", [])))
        if path == "/compare.json":
            return _json(viewer.compared(asked.get("first", [""])[0], asked.get("second", [""])[0]))
        if path == _ICON:
            return HTTPStatus.OK, "image/x-icon", b"", _NO_ICON
        if path.startswith("/report/"):
            return self._report(unquote(path.removeprefix("/report/")))
        return _nothing(HTTPStatus.NOT_FOUND)

    def _report(self, name: str) -> Answer:
        places = self.server.viewer.places
        file = within(places.root, name, PAGE) if name in places.runs() else None
        if file is None:
            return _nothing(HTTPStatus.NOT_FOUND)
        return HTTPStatus.OK, _HTML, file.read_bytes(), _SANDBOX

    def _send(self, answer: Answer) -> None:
        status, kind, body, more = answer
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _json(content: Any) -> Answer:
    if content is None:
        return _nothing(HTTPStatus.NOT_FOUND)
    return HTTPStatus.OK, _JSON, json.dumps(content, allow_nan=False).encode(), {}


def _nothing(status: HTTPStatus) -> Answer:
    return status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode(), {}


def serve(runs: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a folder of runs until Ctrl-C.

    Args:
        runs (`Path`): The folder of all runs.
        port (`int`): The port; 0 takes one that is free.
        say (`Callable[[str], None]`): Is told where the page is.

    Raises:
        ConfigError: There is no such folder, or the port is taken.
    """
    with ViewServer(runs, port) as server:
        say(f"{server.url} shows the runs in {runs}; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            # How it is meant to end.
            return
