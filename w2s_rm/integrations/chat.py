"""A chat model that runs elsewhere: asked with patience, within a budget, and once for what it has said. No torch."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from w2s_rm.data.endpoints import Endpoint
from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import ConfigError, DataError, system_problem
from w2s_rm.files import append_line, cut_unfinished_line
from w2s_rm.types import content_hash

# Seconds: neither doubling nor what an endpoint asks for may hold a stage for hours.
_LONGEST_PAUSE = 60.0
_SHOWN = 200
# Too many requests, and what a server or a gateway says that is not well at the moment.
_PASSING = (408, 429, 500, 502, 503, 504, 529)


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
        kept (`Path`): The file, a line for each answer.
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
        cut_unfinished_line(kept)
        if kept.exists():
            # What these cost counts against the budget again.
            for line in kept.read_text(encoding="utf-8").splitlines():
                self._keep(json.loads(line))

    def _keep(self, record: dict[str, Any]) -> None:
        self._answers[record["request"]] = record["answer"]
        self.requests += record["requests"]
        self.tokens += record["tokens"]

    def __call__(self, requests: Sequence[str]) -> list[str]:
        """Return an answer to each request.

        Args:
            requests (`Sequence[str]`): What a user says.

        Raises:
            ConfigError: The endpoint refuses a request, or the budget is spent.
            DataError: It gives no answer, however often it is asked.
        """
        # Each text once: answers are kept by it, so of a repeated request the first answer would stand.
        open_requests = [text for text in dict.fromkeys(requests) if content_hash(text) not in self._answers]
        with ThreadPoolExecutor(self.endpoint.at_once) as pool:
            waiting = [pool.submit(self._ask, text) for text in open_requests]
            try:
                for answer in waiting:
                    answer.result()
            except BaseException:
                # Those that are under way are still kept; the others would cost in vain.
                pool.shutdown(cancel_futures=True)
                raise
        return [self._answers[content_hash(text)] for text in requests]

    def _ask(self, text: str) -> None:
        pause, tries = self.endpoint.pause, 0
        while True:
            self._spend()
            tries += 1
            try:
                answer, tokens = self._said(self._post(text))
                break
            except _Passing as error:
                if tries > self.endpoint.retries:
                    raise DataError(
                        f"{self.endpoint.url}: {error}, {tries} times in a row; answers that came are kept, run the "
                        "same command again, with more retries or a longer timeout if it goes on so"
                    ) from error
                time.sleep(min(_LONGEST_PAUSE, pause if error.after is None else error.after))
                pause *= 2
        name = content_hash(text)
        with self._lock:
            # With how many tries it took: a stage that goes on counts them against the budget again.
            append_line(self.kept, json.dumps({"request": name, "answer": answer, "requests": tries, "tokens": tokens}))
            self._answers[name] = answer
            self.tokens += tokens

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

    def _post(self, text: str) -> bytes:
        body = {"model": self.endpoint.model, "messages": [{"role": "user", "content": text}], **self.options}
        headers = {"Content-Type": "application/json"}
        # Read as it is needed, and kept nowhere.
        if key := os.environ.get(self.endpoint.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with self._opener.open(request, timeout=self.endpoint.timeout) as answer:
                return bytes(answer.read())
        # From the special to the general: an `HTTPError` is a `URLError`, and that an `OSError`, as is a
        # `TimeoutError`.
        except urllib.error.HTTPError as error:
            if error.code in _PASSING:
                raise _Passing(f"answers {error.code}", _seconds(error.headers.get("Retry-After"))) from error
            # Any other status, such as a wrong key, would be the same at the next try.
            said = error.read(_SHOWN).decode(errors="replace")
            raise ConfigError(
                f"{address} answers {error.code} ({said.strip()}); check url, model and the key in "
                f"{self.endpoint.key_variable}"
            ) from error
        except TimeoutError as error:
            raise _Passing(f"no answer in {self.endpoint.timeout:g} seconds") from error
        except urllib.error.URLError as error:
            reason = error.reason
            raise _Passing(system_problem(reason) if isinstance(reason, OSError) else str(reason)) from error
        except OSError as error:
            raise _Passing(system_problem(error)) from error

    def _said(self, body: bytes) -> tuple[str, int]:
        """The answer, and how many tokens it cost."""
        try:
            told = parse_json(body.decode())
            content = told["choices"][0]["message"]["content"]
            # Not every server counts tokens; a budget of tokens is then never spent, and that of requests is what
            # holds.
            tokens = int((told.get("usage") or {}).get("total_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Passing("answers in another form than that of chat completions") from error
        if not isinstance(content, str) or not content.strip():
            raise _Passing("writes nothing")
        return content, tokens


def _seconds(header: str | None) -> float | None:
    """What `Retry-After` says, where it says seconds."""
    return float(header) if header is not None and header.strip().isdecimal() else None
