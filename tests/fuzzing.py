"""Odd input by the hundred for `tests/fuzz`: values, mutations of what is right, and what a command makes of them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from w2s_rm.cli import main
from w2s_rm.errors import EXIT_USER_ERROR, W2SError

WORDS = ("", " ", "\u00a0", "a", "none", "null", "true", "1", "-1", "1e999", "nan", "path.py", "../..", "~", "package:")
"""Texts that mean something to somebody: to a path, a number, a shell, a table, a page."""
TRICKY = (
    *("\ud800", "\x00", "\ufeff", "\u202e", "\u2028", "\x1b[31m", "e\u0301", "ß", "\U0001f642", "\r\n", "\t"),
    *("<script>alert(1)</script>", "{{ 7 * 7 }}", "$HOME", "`id`", "%s%n", "'; --", '"', "\\", "|", "[x](y)"),
    *("hub/name", "name/", "/", ".", "package:os", "package:a.b", "/dev/null", "file://x", "x" * 300, "9" * 5000),
)
NUMBERS = (0, 1, -1, 2, 3.5, -0.0, 1e-320, 1e308, 10**30, -(10**30), 10**400, 2**31, 2**32, 2**63, 2**64)

texts = st.one_of(st.sampled_from(WORDS), st.sampled_from(TRICKY), st.text(max_size=12))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(),
    texts,
)
values = st.recursive(
    scalars,
    lambda inside: st.one_of(st.lists(inside, max_size=4), st.dictionaries(texts, inside, max_size=4)),
    max_leaves=8,
)
"""Anything that YAML or JSON can hold, the odd before the usual."""


def outcome(arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it says of an error.

    Raises:
        AssertionError: It says more or less than one message, or ends in another way than a user can act on.
    """
    errors = io.StringIO()
    # Text that no UTF-8 can hold ends a process that prints it; standard error escapes it.
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(shown):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(str(stop.code))
    said = errors.getvalue()
    assert code in (0, EXIT_USER_ERROR), said
    assert (code == 0) == ("error: " not in said), said
    return code, said


def refusal(call: Callable[[], object]) -> str | None:
    """Return the message with which a function refuses its input, `None` where it takes it; other errors go through."""
    try:
        call()
    except W2SError as error:
        assert str(error).strip()
        return str(error)
    return None


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys and indices down to each value of a nested mapping or list."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        yield from places(below, (*at, key))


def get(value: Any, place: Sequence[Any]) -> Any:
    """The value at a place."""
    for key in place:
        value = value[key]
    return value


@st.composite
def mutations(draw: st.DrawFn, originals: Sequence[Any], names: Sequence[str], most: int = 3) -> Any:
    """One of some valid mappings in which values are odd, gone, doubled, renamed, or taken from elsewhere."""
    made = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.sampled_from([place for place in places(made) if place] or [()]))
        if not place:
            break
        *above, key = place
        holder = get(made, above)
        change = draw(st.sampled_from(("odd", "gone", "renamed", "more", "elsewhere", "wrapped")))
        if change == "odd":
            holder[key] = draw(values)
        elif change == "gone":
            del holder[key]
        elif change == "wrapped":
            holder[key] = draw(st.sampled_from(([holder[key]], {"name": holder[key]}, [holder[key], holder[key]])))
        elif change == "elsewhere":
            donor = draw(st.sampled_from(originals))
            holder[key] = copy.deepcopy(get(donor, draw(st.sampled_from(list(places(donor))))))
        elif isinstance(holder, dict):
            name = draw(st.one_of(st.sampled_from(names), scalars.filter(hashable_key)))
            holder[name] = holder.pop(key) if change == "renamed" else draw(values)
        else:
            holder.append(draw(values))
    return made


def hashable_key(value: Any) -> bool:
    """Whether a mapping keeps a key apart from others: NaN is not even equal to itself."""
    return not (isinstance(value, float) and math.isnan(value))


@st.composite
def damaged(draw: st.DrawFn, originals: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    """One of some valid files of which parts are cut out, doubled, overwritten, or moved, or with pieces put in."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 1, 2, 8, 64, 1000))))
        piece = draw(st.one_of(st.sampled_from(pieces), st.binary(max_size=4), st.just(data[start:end])))
        data = data[:start] + piece + data[draw(st.sampled_from((start, end))) :]
    return data


def jsonl(rows: Sequence[Any]) -> bytes:
    """An object a line, NaN and half characters as Python writes them."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def write(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data)
    return path
