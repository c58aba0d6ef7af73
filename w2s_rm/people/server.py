"""A labeller's page over plain HTTP, for this machine alone: on the loopback address, with a token in every path."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import DataError, system_problem
from w2s_rm.people.address import HOST, Address
from w2s_rm.people.sitting import Sitting
from w2s_rm.render.loopback import LoopbackServer
from w2s_rm.render.page import STYLE, TEXTS

_FOLDER = Path(__file__).parent
_FILES = {
    "": (_FOLDER / "page.html", "text/html"),
    "page.css": (_FOLDER / "page.css", "text/css"),
    "page.js": (_FOLDER / "page.js", "text/javascript"),
    "report.css": (STYLE, "text/css"),
    "texts.js": (TEXTS, "text/javascript"),
}
# Another site that has a name resolve to this machine would ask under that name.
_NAMES = (HOST, "localhost")
# Bytes of an answer, which has names and numbers in it and no text.
_LONGEST = 1 << 16
_HEADERS = {
    "Cache-Control": "no-store",
    # Nothing from elsewhere and nothing inline: what a text brings along would not run even unescaped.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(LoopbackServer):
    """Serves a sitting.

    Args:
        sitting ([`~w2s_rm.people.sitting.Sitting`]): What is asked and answered.
        about (`Mapping[str, Any]`): What the page says besides: `title` and `question`.
        summary (`Callable[[], str]`): What it says in the end.
        token (`str`): How every path begins.
        ports (`Sequence[int]`, *optional*): Where it may listen: at the first of these that is free, 0 is any.

    Raises:
        OSError: None of the ports is free.
    """

    def __init__(
        self,
        sitting: Sitting,
        about: Mapping[str, Any],
        summary: Callable[[], str],
        token: str,
        ports: Sequence[int] = (0,),
    ) -> None:
        *others, last = ports
        for port in others:
            # Another program may have it by now.
            with contextlib.suppress(OSError):
                super().__init__((HOST, port), _Handler)
                break
        else:
            super().__init__((HOST, last), _Handler)
        self.sitting, self.about, self.summary = sitting, dict(about), summary
        self.address = Address(self.server_port, token)


class _Refused(Exception):
    """A request that is not served: its status and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # Seconds after which a connection that says nothing is closed.
    timeout = 60

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._post)

    def _serve(self, answer: Callable[[str], tuple[str, bytes]]) -> None:
        try:
            status, (kind, body) = HTTPStatus.OK, answer(self._path())
        except _Refused as refused:
            status, kind, body = refused.status, "text/plain", str(refused).encode()
            # What it sent was not read, and would be taken for the next request.
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _path(self) -> str:
        """What is asked for, behind the token."""
        # `//` has `urlsplit` take the header for a host. Browsers send an origin with answers, and none with plain
        # loads.
        asked = (f"//{self.headers.get('Host', '')}", self.headers.get("Origin", f"//{HOST}"))
        if any(_host(name) not in _NAMES for name in asked):
            raise _Refused(HTTPStatus.FORBIDDEN, f"asked under another name than {' or '.join(_NAMES)}")
        token, _, path = self.path.removeprefix("/").partition("/")
        # In a time that does not depend on how much of a guess is right; as bytes, for it refuses text beyond ASCII.
        if not secrets.compare_digest(token.encode(), self.server.address.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "another address than `w2s-rm label` has printed")
        return path

    def _get(self, path: str) -> tuple[str, bytes]:
        sitting = self.server.sitting
        # Looked up by name: no path is made of what was asked for.
        if path in _FILES:
            file, kind = _FILES[path]
            return kind, file.read_bytes()
        if path == "state":
            return _json({**self.server.about, **sitting.state()})
        if path == "summary":
            return "text/plain", self.server.summary().encode()
        kind, _, name = path.partition("/")
        if kind != "questions" or name not in sitting.asked:
            raise _Refused(HTTPStatus.NOT_FOUND, "nothing is here")
        return _json(sitting.asked[name].shown())

    def _post(self, path: str) -> tuple[str, bytes]:
        # A page of another site may send JSON only after asking with OPTIONS, which is not served here.
        if path != "answers" or self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.NOT_FOUND, "answers go to answers, as JSON")
        length = self.headers.get("Content-Length", "")
        # Python reads no number of thousands of digits.
        if not length.isdecimal() or len(length) > len(str(_LONGEST)) or int(length) > _LONGEST:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an answer has at most {_LONGEST} bytes")
        body = self.rfile.read(int(length))
        try:
            message = parse_json(body.decode())
            if not isinstance(message, dict):
                raise DataError("an answer is a JSON object")
            self.server.sitting.answer(message)
        except (ValueError, DataError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        except OSError as error:
            raise _Refused(HTTPStatus.INSUFFICIENT_STORAGE, system_problem(error)) from error
        return _json({"saved": True})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the address holds the token, and logs are shared."""


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _json(value: Any) -> tuple[str, bytes]:
    # ASCII: datasets hold halves of characters, which UTF-8 refuses.
    return "application/json", json.dumps(value).encode("ascii")
