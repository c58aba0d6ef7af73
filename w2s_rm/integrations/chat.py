"""A chat model that runs elsewhere: asked with patience, within a budget, and once for what it has said. No torch."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

from w2s_rm.data.endpoints import Endpoint
from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import ConfigError, DataError, system_problem
from w2s_rm.files import append_line, cut_unfinished_line
from w2s_rm.types import content_hash

# Seconds: neither doubling nor what an endpoint asks for may hold a stage for hours.
_LONGEST_PAUSE = 60.0
# Characters of what an endpoint says that are shown, and bytes of a refusal that are read for them: more, so that a key
# in it is whole when it is looked for.
_SHOWN, _READ = 200, 1 << 16
# Seconds to wait for the text of a refusal, which is known by then.
_AFTERWARDS = 5.0
# Slow, too early, too many requests; the other ones that pass are those from 500 on, of a server that is not well.
_PASSING = (408, 425, 429)
_KEY = re.compile("[!-~]+")
# Characters from which on a key is one.
_SECRET = 12

Result = TypeVar("Result")


class _Passing(Exception):
    """Something that may be otherwise the next time, and after how many seconds that is, where the endpoint says it."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Elsewhere the key is none of anyone's business."""

    def redirect_request(self, *_: Any) -> None:
        # urllib then raises the redirect as an `HTTPError`.
        return None


class Chat:
    """Answers requests, each a conversation of its own.

    What was answered is kept in a file as it comes; a stage that was interrupted does not ask for it again.

    Args:
        endpoint ([`~w2s_rm.data.endpoints.Endpoint`]): Where.
        kept (`Path`): The file, a line for each try with what it cost.
        max_new_tokens (`int`): Most tokens of an answer.
        temperature (`float`): 0 asks for the most likely answer.
        seed (`int`): Sent along; an endpoint may pay no attention to it.
    """

    def __init__(self, endpoint: Endpoint, kept: Path, *, max_new_tokens: int, temperature: float, seed: int) -> None:
        self.endpoint, self.kept = endpoint, kept
        self.options = {"max_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
        self._lock = threading.Lock()
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._answers: dict[str, str] = {}
        self.requests = self.tokens = 0
        self._key()
        cut_unfinished_line(kept)
        if kept.exists():
            # What these cost counts against the budget again.
            for number, line in enumerate(kept.read_bytes().splitlines(), start=1):
                self._count(*_kept(f"{kept}:{number}", line))

    def _count(self, request: str, answer: str | None, tokens: int) -> None:
        self.requests += 1
        self.tokens += tokens
        if answer is not None:
            self._answers[request] = answer

    def __call__(self, requests: Sequence[str]) -> list[str]:
        """Return an answer to each request.

        Args:
            requests (`Sequence[str]`): What a user says.

        Raises:
            ConfigError: The endpoint refuses a request, the budget is spent, or the key has characters of no key.
            DataError: It gives no answer, however often it is asked.
        """
        # Each text once: answers are kept by it, so of a repeated request the first answer would stand.
        open_requests = [text for text in dict.fromkeys(requests) if content_hash(text) not in self._answers]
        stop = threading.Event()
        with ThreadPoolExecutor(self.endpoint.at_once) as pool:
            waiting = [pool.submit(self._ask, text, stop) for text in open_requests]
            try:
                for answer in waiting:
                    answer.result()
            except BaseException:
                # Those that are under way are still kept; others, and more tries, would cost in vain.
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [self._answers[content_hash(text)] for text in requests]

    def _ask(self, text: str, stop: threading.Event) -> None:
        """Ask until there is an answer, or somebody else has failed."""
        pause, tries = self.endpoint.pause, 0
        try:
            while not stop.is_set():
                self._spend()
                tries += 1
                try:
                    self._try(text)
                    return
                except _Passing as error:
                    if tries > self.endpoint.retries:
                        raise DataError(
                            f"{self.endpoint.url}: {error}, {tries} times in a row; answers that came are kept, run "
                            "the same command again, with more retries or a longer timeout if it goes on so"
                        ) from error
                    stop.wait(min(_LONGEST_PAUSE, pause if error.after is None else error.after))
                    pause *= 2
        except BaseException:
            # Whoever waits for the answers may wait for another one first.
            stop.set()
            raise

    def _spend(self) -> None:
        """Count a request, before it is made."""
        with self._lock:
            # Looked at and counted under one lock, or threads would pass a limit together.
            for name, spent, most in (
                ("requests", self.requests, self.endpoint.max_requests),
                ("tokens", self.tokens, self.endpoint.max_tokens),
            ):
                if most is not None and spent >= most:
                    raise ConfigError(
                        f"{self.endpoint.url}: the budget of {most:,} {name} is spent; raise max_{name} and run the "
                        "same command again, answers that came are kept"
                    )
            self.requests += 1

    def _try(self, text: str) -> None:
        """Ask once, and write down what came and what it cost: of an answer, and of what is none."""
        request, answer, tokens = content_hash(text), None, 0
        try:
            told = _told(self._post(text))
            tokens = _tokens(told)
            # Once it has said so, the key would be in transcripts and reports.
            answer = self._hidden(_said(told))
        finally:
            with self._lock:
                append_line(self.kept, json.dumps({"request": request, "answer": answer, "tokens": tokens}))
                self.tokens += tokens
                if answer is not None:
                    self._answers[request] = answer

    def _key(self) -> str | None:
        """The key; read as it is needed, and kept nowhere."""
        key = os.environ.get(self.endpoint.key_variable, "").strip()
        if key and not _KEY.fullmatch(key):
            raise ConfigError(
                f"the key in {self.endpoint.key_variable} holds blanks, control characters or letters beyond ASCII, "
                "which no key has; set the variable anew"
            )
        return key or None

    def _hidden(self, text: str) -> str:
        key = self._key()
        # Local servers are given a word for one, such as `none`, which is no secret and may be part of any answer.
        return text if key is None or len(key) < _SECRET else text.replace(key, "(the key)")

    def _shown(self, text: str) -> str:
        """What an endpoint says, in a line, for a message."""
        line = "".join(letter if letter.isprintable() else " " for letter in self._hidden(text))
        return " ".join(line.split())[:_SHOWN]

    def _post(self, text: str) -> bytes:
        body = {"model": self.endpoint.model, "messages": [{"role": "user", "content": text}], **self.options}
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        end = time.monotonic() + self.endpoint.timeout
        # None of these is chained: what an endpoint says, and libraries repeat, may hold the key.
        try:
            answer = _within(self.endpoint.timeout, lambda: self._opened(request))
            if answer.code < 300:
                return _within(end - time.monotonic(), lambda: _read(answer, None, end))
        except OSError as error:
            # urllib wraps what happens before the request is sent.
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise _Passing(f"no answer in {self.endpoint.timeout:g} seconds") from None
            said = system_problem(reason) if isinstance(reason, OSError) else str(reason)
            raise _Passing(self._shown(said)) from None
        except http.client.HTTPException as error:
            # An answer that ends too early, or begins with something else.
            raise _Passing(self._shown(f"breaks off, or speaks no HTTP ({error!r})")) from None
        raise self._refusal(address, answer)

    def _opened(self, request: urllib.request.Request) -> Any:
        """The answer, of which the head is read."""
        try:
            return self._opener.open(request, timeout=self.endpoint.timeout)
        except urllib.error.HTTPError as error:
            return error

    def _refusal(self, address: str, answer: Any) -> Exception:
        try:
            end = time.monotonic() + _AFTERWARDS
            said = self._shown(_within(_AFTERWARDS, lambda: _read(answer, _READ, end)).decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            said = ""
        told = f"answers {answer.code}" + (f" ({said})" if said else "")
        if answer.code in _PASSING or answer.code >= 500:
            return _Passing(told, _seconds(answer.headers.get("Retry-After")))
        # Any other status would be the same at the next try.
        if answer.code < 400:
            place = self._shown(answer.headers.get("Location") or "nowhere")
            return ConfigError(
                f"{address} answers {answer.code} and leads to {place}; the key goes nowhere else, so if that is the "
                "endpoint give its address as url"
            )
        return ConfigError(f"{address} {told}; check url, model and the key in {self.endpoint.key_variable}")


def _within(seconds: float, work: Callable[[], Result]) -> Result:
    """Return what is worked out, or raise `TimeoutError` after so many seconds.

    Timeouts of sockets hold for each read, and an endpoint may send a byte at a time. What goes on for longer, until
    its socket times out, is left to itself, in a thread that keeps no process alive.
    """
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    if not wait([done], max(0.0, seconds)).done:
        raise TimeoutError
    return done.result()


def _read(answer: Any, most: int | None, end: float) -> bytes:
    """The body, in pieces as they come: one that drips for longer is closed, and the endpoint need not write it out.

    Of what is read for a message, with `most`, as much as has come is enough.
    """
    body = bytearray()
    with answer:
        while piece := answer.read1(_READ):
            body += piece
            if most is not None and len(body) >= most:
                return bytes(body[:most])
            if time.monotonic() > end and most is None:
                raise TimeoutError
            if time.monotonic() > end:
                break
        # As `read` would: of an answer without a length the end is the end.
        if most is None and answer.length:
            raise http.client.IncompleteRead(bytes(body), answer.length)
    return bytes(body)


def _told(body: bytes) -> Any:
    try:
        return parse_json(body.decode())
    except ValueError as error:
        raise _Passing("answers in another form than that of chat completions") from error


def _said(told: Any) -> str:
    try:
        content = told["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise _Passing("answers in another form than that of chat completions") from error
    if not isinstance(content, str) or not content.strip():
        raise _Passing("writes nothing")
    return content


def _tokens(told: Any) -> int:
    """How many tokens an answer cost."""
    usage = told.get("usage") if isinstance(told, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    # Not every server counts tokens, or makes sense; a budget of tokens is then never spent, and that of requests is
    # what holds.
    return int(total) if isinstance(total, int | float) and 0 <= total < math.inf else 0


def _kept(place: str, line: bytes) -> tuple[str, str | None, int]:
    """A line of the file of answers: the hash of what was asked, the answer, and the tokens that it cost."""
    try:
        told = parse_json(line.decode())
        request, answer, tokens = told["request"], told["answer"], told["tokens"]
        whole = isinstance(request, str) and isinstance(answer, str | None) and type(tokens) is int and tokens >= 0
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise DataError(f"{place}: no answer of an endpoint; remove the line, what it answered is asked again")
    return request, answer, tokens


def _seconds(header: str | None) -> float | None:
    """After how many seconds `Retry-After` says to come again, in seconds or with a date."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except (ValueError, TypeError):
            return None
        # Of HTTP all dates are in Greenwich's time, also where one does not say so.
        now = datetime.now(timezone.utc)
        seconds = ((date if date.tzinfo else date.replace(tzinfo=timezone.utc)) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
