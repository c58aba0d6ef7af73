"""Cells that hold text or conversations, in the forms in which people keep them, and what is said in a message."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.data.json_text import parse_json
from w2s_rm.errors import DataError
from w2s_rm.types import Text

SHAREGPT: Mapping[str, str] = {"human": "user", **dict.fromkeys(("gpt", "chatgpt", "bot", "model"), "assistant")}
"""The speakers of ShareGPT's form and its kin, by the names that chat templates know."""

# As `json.dumps`, `repr` and data frames write a mapping with text keys, or a list that begins with one.
_MAPPING = re.compile(r"""\s*\{\s*(['"])\w+\1\s*:""")
_LIST = re.compile(r"""\s*\[\s*\{\s*(['"])(\w+)\1\s*:""")
# Searched for anywhere, since keys stand in any order.
_SPEAKER = re.compile(r"""(['"])(?:role|from)\1\s*:""")
_SAID = re.compile(r"""(['"])(?:content|value|tool_calls)\1\s*:""")
_SHAREGPT_KEYS = {"from": "role", "value": "content"}
_KEYS = ("role", "content", "from", "value")


def is_null(value: object) -> bool:
    """Whether a cell is empty: null, or the NaN that data frames write for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_text(value: object, what: str, roles: Mapping[str, str] | None = None) -> Text:
    """Check that a cell holds text or messages; messages may be written as JSON, and one may stand without its list.

    Args:
        value (`object`): The cell.
        what (`str`): Its name for messages.
        roles (`Mapping[str, str]`, *optional*): Speakers by the names that chat templates know; messages may then be
            written with `from` and `value` too.

    Raises:
        DataError: Null, another type, a wrong message structure, or text that no UTF-8 file can hold.
    """
    if is_null(value):
        raise DataError(f"{what} is empty (null); drop the row or fill it")
    if isinstance(value, str):
        spoken = written_messages(value, what)
        # Read as what is written there, and so checked as a column of lists is.
        return _encodable(value, what) if spoken is None else parse_text(spoken, what, roles)
    if _is_message(value):
        return (_parse_message(value, what, roles),)
    if isinstance(value, list | tuple):
        return tuple(_parse_message(message, f"{what}[{i}]", roles) for i, message in enumerate(value))
    raise DataError(f"{what} is {type(value).__name__}, not text or a list of messages")


def written_messages(text: str, what: str) -> Any:
    """Read the messages in a text that is a list of them; `None` for other text, for example one that quotes some JSON.

    Args:
        text (`str`): A cell.
        what (`str`): Its name for messages.

    Raises:
        DataError: It is a list of messages, but not as JSON, for example as Python or pandas writes it.
    """
    start = _LIST.match(text)
    spoken = _SPEAKER.search(text) is not None and _SAID.search(text) is not None
    # Only what begins as messages do is parsed: most texts are none, even if they begin with a brace.
    if not (start and (spoken or start[2] in _KEYS)) and not (spoken and _MAPPING.match(text)):
        return None
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        if not start:
            return None
        raise DataError(
            f"{what} is a list of messages written as text that is not JSON ({error.msg}, column {error.colno}); "
            "write it with json.dumps, or as a column of lists"
        ) from error
    # A text may quote some JSON. A first key that only messages have is proof; otherwise each must look like one.
    certain = start is not None and start[2] in _KEYS
    return value if certain or all(map(_is_message, value if isinstance(value, list) else [value])) else None


def words(message: Mapping[str, Any]) -> str:
    """What is said in a message: its content, and the tools that it calls as JSON.

    Args:
        message (`Mapping[str, Any]`): Role, content, perhaps tool calls.
    """
    content, calls = message.get("content"), message.get("tool_calls")
    said = [str(content)] if content else []
    return "\n".join([*said, json.dumps(calls, ensure_ascii=False)] if calls else said)


def parse_template_kwargs(values: Mapping[str, Any], tools_column: str = "tools") -> dict[str, Any]:
    """What a row gives a chat template beside the messages: `tools` and `chat_template_kwargs`, perhaps as JSON.

    Args:
        values (`Mapping[str, Any]`): The row.
        tools_column (`str`, *optional*, defaults to `"tools"`): Its column of tools.

    Raises:
        DataError: They are no list and no mapping.
    """
    tools = _parse_object(values.get(tools_column), repr(tools_column), list)
    kwargs = _parse_object(values.get("chat_template_kwargs"), "'chat_template_kwargs'", dict)
    return ({} if tools is None else {"tools": tools}) | (kwargs or {})


def _parse_object(value: object, what: str, kind: type) -> Any:
    if is_null(value) or value == "":
        return None
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except json.JSONDecodeError as error:
            raise DataError(f"{what} is text that is not JSON ({error.msg}, column {error.colno})") from error
    if not isinstance(value, kind):
        raise DataError(f"{what} is {type(value).__name__}, not a {kind.__name__}")
    return value


def template_columns(template_kwargs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write what chat templates are given beside messages as TRL reads it, in columns that all rows have or none.

    Args:
        template_kwargs (`Sequence[Mapping[str, Any]]`): Of each row.

    Returns:
        `list[dict]`: `tools` as JSON, because schemas of different shapes have no column type, and
        `chat_template_kwargs`.
    """
    rows: list[dict[str, Any]] = [{} for _ in template_kwargs]
    if any("tools" in kwargs for kwargs in template_kwargs):
        for row, kwargs in zip(rows, template_kwargs, strict=True):
            # Null where a row has none: a column stands in all rows.
            row["tools"] = json.dumps(kwargs["tools"]) if "tools" in kwargs else None
    others = [{name: value for name, value in kwargs.items() if name != "tools"} for kwargs in template_kwargs]
    if any(others):
        for row, other in zip(rows, others, strict=True):
            row["chat_template_kwargs"] = other
    return rows


def _is_message(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return ("role" in value and bool({"content", "tool_calls"} & set(value))) or {"from", "value"} <= set(value)


def _parse_message(value: object, what: str, roles: Mapping[str, str] | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{what} is {type(value).__name__}, not a message; write {{role, content}}")
    message: Mapping[str, Any] = value
    if roles is not None:
        named = {_SHAREGPT_KEYS.get(key, key): item for key, item in message.items()}
        message = {**named, "role": roles.get(str(named.get("role")), named.get("role"))}
    calls = message.get("tool_calls")
    for key in ("role", "content"):
        # Who calls a tool need say nothing.
        if key == "content" and calls and message.get(key) is None:
            continue
        if not isinstance(message.get(key), str):
            hint = "; the task preference reads ShareGPT's form with roles: sharegpt" if "from" in message else ""
            keys = ", ".join(map(str, message))
            raise DataError(f"{what}: a message needs text under {key!r}; its keys are {keys}{hint}")
        _encodable(message[key], f"{what}.{key}")
    # Columnar files give every message every key that any message has. A null content beside calls is what templates
    # ask for.
    return {key: value for key, value in message.items() if value is not None or (key == "content" and calls)}


def _encodable(text: str, what: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} holds half of a character ({ascii(text[error.start])} at position {error.start}), which no "
            "tokenizer reads; mend or drop the row"
        ) from error
    return text
