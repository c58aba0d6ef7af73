"""Where a chat model is asked that runs elsewhere: options alone, nothing here asks."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from w2s_rm.errors import OptionError

# What an address is written in on its way.
_PRINTED = re.compile("[!-~]+")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
# Seconds of a day; of much longer times operating systems know nothing.
_LONGEST = 86_400


@dataclass(frozen=True)
class Endpoint:
    """A chat endpoint that speaks the form of OpenAI's interface.

    Args:
        url (`str`): Up to what `/chat/completions` is added to: `http://localhost:8000/v1`.
        model (`str`): What it calls the model.
        key_variable (`str`, *optional*, defaults to `"OPENAI_API_KEY"`): Name of the environment variable that holds
            the key; the key itself is written nowhere. Without such a variable none is sent.
        timeout (`float`, *optional*, defaults to `60.0`): Seconds until an answer must be whole.
        retries (`int`, *optional*, defaults to `5`): How often to ask again where there is none, or none of use.
        pause (`float`, *optional*, defaults to `1.0`): Seconds before the first retry; twice as many before each next.
        at_once (`int`, *optional*, defaults to `4`): Requests that are under way at the same time.
        max_requests (`int`, *optional*): Most requests of a stage, retries included.
        max_tokens (`int`, *optional*): Most tokens of a stage, read and written, as the endpoint counts them.

    Raises:
        OptionError: No address of the web, a key in it, or a number out of range.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    retries: int = 5
    pause: float = 1.0
    at_once: int = 4
    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        wrong = {}
        if not _VARIABLE.fullmatch(self.key_variable):
            # Not shown, for it may be the key.
            wrong["key_variable"] = "is no name of an environment variable; give that name, such as OPENAI_API_KEY"
        if problem := _url_problem(self.url):
            wrong["url"] = problem
        if not self.model.strip():
            wrong["model"] = "is empty; give the name that the endpoint has for its model"
        # Written this way round, NaN is refused.
        if not 0 < self.timeout <= _LONGEST:
            wrong["timeout"] = f"is {self.timeout}; use seconds above 0, up to {_LONGEST:,}"
        if not 0 <= self.pause < math.inf:
            wrong["pause"] = f"is {self.pause}; use seconds from 0 up"
        for name, least in (("retries", 0), ("at_once", 1), ("max_requests", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                wrong[name] = f"is {value}; use {least} or more"
        if wrong:
            raise OptionError("endpoint", wrong)


def _url_problem(url: str) -> str | None:
    """What is wrong with an address; where a key may stand in it, that is not shown."""
    example = "give an address such as http://localhost:8000/v1"
    marked = any(mark in url for mark in "@?#")
    try:
        address = urlsplit(url)
        fits = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        # As it is looked up: a name may have empty parts, or some that are too long.
        (address.hostname or "").encode("idna")
    # Of the port and of brackets, and `UnicodeError` is one too.
    except ValueError:
        return f"is no address; {example}" if marked else f"is {url!r}; {example}"
    # The url stands in configs and manifests, where no key may stand.
    if fits and (address.username or address.password or "?" in url or "#" in url):
        return "holds more than an address; put the key into the environment variable that key_variable names"
    if not fits or not _PRINTED.fullmatch(url):
        return f"is no address; {example}" if marked else f"is {url!r}; {example}"
    return None
