"""Examples as plain text, for comparing and counting."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from w2s_rm.data.messages import words
from w2s_rm.types import Example, Text

_WORD = re.compile(r"\w+")
# Characters up to which a text is kept: long ones seldom come again, and would fill the cache.
_SHORT = 32


def plain(text: Text) -> str:
    """Return text as it is, and of a conversation what is said in its messages, one below the other.

    Args:
        text (`str` or `Messages`): A prompt or a candidate.
    """
    return text if isinstance(text, str) else "\n".join(map(words, text))


def normalised(text: str) -> str:
    """Return the words in lower case with single spaces; text without any word only loses its outer white space.

    Args:
        text (`str`): Plain text.
    """
    return _short(text) if len(text) <= _SHORT else _lowered(text)


def _lowered(text: str) -> str:
    return " ".join(_WORD.findall(text.lower())) or text.strip()


# Moves of chess recur by the million.
_short = functools.lru_cache(maxsize=1 << 16)(_lowered)


def exact_content(example: Example) -> tuple[str, ...]:
    """Return prompt and candidates, these in an order of their own: equal for examples of the same content."""
    return (plain(example.prompt), *sorted(map(plain, example.candidates)))


def normalised_content(content: Sequence[str]) -> tuple[str, ...]:
    """Return what [`exact_content`] gave, normalised: equal for examples that differ in case or punctuation only.

    Args:
        content (`Sequence[str]`): Prompt, then candidates.
    """
    prompt, *candidates = map(normalised, content)
    # Sorted again, for other texts than before may now come first.
    return (prompt, *sorted(candidates))
