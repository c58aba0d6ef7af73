"""Where a chat model is asked that runs elsewhere: options alone, nothing here asks."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from w2s_rm.errors import OptionError


@dataclass(frozen=True)
class Endpoint:
    """A chat endpoint that speaks the form of OpenAI's interface.

    Args:
        url (`str`): Up to what `/chat/completions` is added to: `http://localhost:8000/v1`.
        model (`str`): What it calls the model.
        key_variable (`str`, *optional*, defaults to `"OPENAI_API_KEY"`): Name of the environment variable that holds
            the key; the key itself is written nowhere. Without such a variable none is sent.
        timeout (`float`, *optional*, defaults to `60.0`): Seconds to wait for an answer.
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
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            wrong["url"] = f"is {self.url!r}; give an address such as http://localhost:8000/v1"
        # The url stands in configs and manifests, where no key may stand.
        elif address.username or address.password or address.query:
            wrong["url"] = f"holds more than an address; put the key into the environment variable {self.key_variable}"
        # Written this way round, NaN is refused.
        if not self.timeout > 0:
            wrong["timeout"] = f"is {self.timeout}; use seconds above 0"
        for name, least in (("retries", 0), ("pause", 0), ("at_once", 1), ("max_requests", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                wrong[name] = f"is {value}; use {least} or more"
        if wrong:
            raise OptionError("endpoint", wrong)
