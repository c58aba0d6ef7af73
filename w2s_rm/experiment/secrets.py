"""Keys and tokens in a recipe: refused, because a recipe is copied into the run, its stages and the report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from w2s_rm.errors import ConfigError, join_problems

# As the hub, OpenAI and those who copy its form, Anthropic, GitHub, AWS and Slack write them.
_SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[opsu]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
    r"|\bAKIA[A-Z0-9]{16}\b|\bxox[abpr]-[A-Za-z0-9-]{10,}"
)


def refuse_secrets(source: str, data: Any) -> None:
    """Refuse a recipe that holds what looks like somebody's key, without repeating it.

    Args:
        source (`str`): The file, for the message.
        data (`Any`): What was read, overrides applied.

    Raises:
        ConfigError: Names the places.
    """
    places = [".".join(path) if path else "the recipe" for path in _places(data, ())]
    if places:
        remedy = "a recipe goes into logs and reports; log in (`hf auth login`), or set it in the environment"
        problems = [f"{place}: looks like a secret key; {remedy}" for place in places]
        raise ConfigError(join_problems(f"{source}: holds secrets, which are not shown here:", problems))


def _places(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, str) and _SECRET.search(value):
        yield path
    if isinstance(value, dict):
        for key, inside in value.items():
            # Of a key that is one, no path can be named.
            yield from [path] if isinstance(key, str) and _SECRET.search(key) else _places(inside, (*path, str(key)))
    if isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _places(inside, (*path, str(number)))
