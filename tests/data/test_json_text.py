"""JSON of others: one kind of error, whatever is wrong."""

from __future__ import annotations

import json
import math

import pytest

from w2s_rm.data.json_text import parse_json


def test_what_python_writes_is_read() -> None:
    assert parse_json('{"a": [1, null, "\\u00e9"], "b": -Infinity}') == {"a": [1, None, "é"], "b": -math.inf}


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "property name"), ("9" * 5000, "more digits than Python reads"), ("[" * 100_000, "too deep in each other")],
)
def test_one_kind_of_error(text: str, said: str) -> None:
    with pytest.raises(json.JSONDecodeError, match=said):
        parse_json(text)
