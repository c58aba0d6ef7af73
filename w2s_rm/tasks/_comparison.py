"""From the cells of a row to one comparison: text or messages, the common prompt, and what is wrong with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.data.examples import content_id
from w2s_rm.errors import DataError
from w2s_rm.types import Example, Text, content_hash

# Where a prompt may end inside running text: after white space, or after the stops of scripts written without it.
_WORD_ENDS = frozenset("。？！：；，、")
# As `json.dumps`, `repr` and data frames write a list whose first element is a mapping with text keys.
_LIST_OF_MESSAGES = re.compile(r"""\s*\[\s*\{\s*(['"])(role|content|from|value)\1\s*:""")
_ASKING = ("user", "human")


def is_null(value: object) -> bool:
    """Whether a cell is empty: null, or the NaN that data frames write for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_text(value: object, what: str) -> Text:
    """Check that a cell holds text or messages.

    Args:
        value (`object`): The cell.
        what (`str`): Its name for messages.

    Raises:
        DataError: Null, another type, a wrong message structure, or text that no UTF-8 file can hold.
    """
    if is_null(value):
        raise DataError(f"{what} is empty (null); drop the row or fill it")
    if isinstance(value, str):
        spoken = _written_conversation(value, what)
        return _encodable(value, what) if spoken is None else parse_text(spoken, what)
    if isinstance(value, list | tuple):
        return tuple(_parse_message(message, f"{what}[{i}]") for i, message in enumerate(value))
    raise DataError(f"{what} is {type(value).__name__}, not text or a list of messages")


def _written_conversation(text: str, what: str) -> list[Any] | None:
    """The messages in a text that is a list of them; `None` for other text, for example one that quotes some JSON."""
    if not _LIST_OF_MESSAGES.match(text):
        return None
    try:
        messages: list[Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{what} is a list of messages written as text that is not JSON ({error.msg}, column {error.colno}); "
            "write it with json.dumps, or as a column of lists"
        ) from error
    return messages


def after_prompt(prompt: Text, responses: Sequence[Text]) -> tuple[Text, tuple[Text, ...]]:
    """Join a prompt given as text with responses that are whole conversations: their first user message is the prompt.

    Args:
        prompt (`str` or `Messages`): From the prompt column.
        responses (`Sequence` of `str` or `Messages`): The responses of a row.

    Returns:
        What all conversations begin with, and the rest of each; the arguments as they are where they are of one kind.

    Raises:
        DataError: The text is not what the conversations begin with.
    """
    if not isinstance(prompt, str) or any(isinstance(response, str) for response in responses):
        return prompt, tuple(responses)
    if not prompt.strip():
        return split_common(responses)
    for response in responses:
        first = next((message for message in response if message["role"] != "system"), None)  # type: ignore[index]
        if first is None or first["role"] not in _ASKING or first["content"].strip() != prompt.strip():  # type: ignore[index]
            raise DataError(
                "the prompt is text and the responses are conversations that do not begin with it as a user message; "
                "write the prompt as messages, or set prompt_column: '' if the responses hold whole conversations"
            )
    return split_common(responses)


def split_common(texts: Sequence[Text]) -> tuple[Text, tuple[Text, ...]]:
    """Split what all begin with from what differs: `prompt + candidate` is each original again, exactly.

    Conversations are cut between messages. Text is cut at a word boundary; one space before the first differing word
    stays with the candidates, where tokenizers expect it. Each candidate keeps at least one message, or one word.

    Args:
        texts (`Sequence` of `str` or `Messages`): Two or more of the same kind, none blank.
    """
    common = 0
    shortest = min(len(text) for text in texts)
    while common < shortest and all(text[common] == texts[0][common] for text in texts):
        common += 1
    if isinstance(texts[0], str):
        cut = _word_boundary(texts[0], min(common, *(len(str(text).rstrip()) - 1 for text in texts)))
    else:
        cut = min(common, shortest - 1)
    return texts[0][:cut], tuple(text[cut:] for text in texts)


def comparison(
    prompt: Text, candidates: tuple[Text, ...], gold: int | None, *, group: str | None = None, id: str | None = None
) -> Example:
    """Build a checked example, candidates in the order given.

    Args:
        prompt (`str` or `Messages`): Text or messages shared by all candidates.
        candidates (`tuple` of `str` or `Messages`): Two or more.
        gold (`int` or `None`): Index of the right candidate.
        group (`str`, *optional*): What must stay in one split; by default the prompt, and where there is no prompt,
            the comparison itself.
        id (`str`, *optional*): By default [`content_id`][w2s_rm.data.examples.content_id].

    Raises:
        DataError: Text mixed with messages, empty or identical candidates.
    """
    if len({isinstance(text, str) for text in (prompt, *candidates)}) > 1:
        raise DataError(
            "plain text and lists of messages are mixed; use one kind in a row, and if the responses already hold the "
            "whole conversation, set prompt_column: ''"
        )
    empty = [str(k) for k, candidate in enumerate(candidates, start=1) if is_blank(candidate)]
    if empty:
        raise DataError(f"response {' and '.join(empty)} is empty; drop the row or fill it")
    if len({content_hash(candidate) for candidate in candidates}) < len(candidates):
        raise DataError("the responses are identical, so there is nothing to compare; drop the row")
    own_id = content_id(prompt, candidates)
    own_group = content_hash((prompt or own_id) if group is None else group)
    return Example(id or own_id, own_group, prompt, candidates, gold)


def is_blank(text: Text) -> bool:
    """Whether text is white space only, or a conversation in which nobody says anything."""
    return not text.strip() if isinstance(text, str) else not any(message["content"].strip() for message in text)


def _parse_message(message: object, what: str) -> Mapping[str, Any]:
    if not isinstance(message, Mapping):
        raise DataError(f"{what} is {type(message).__name__}, not a message; write {{role, content}}")
    for key in ("role", "content"):
        if not isinstance(message.get(key), str):
            raise DataError(f"{what}: a message needs text under {key!r}; its keys are {', '.join(map(str, message))}")
        _encodable(message[key], f"{what}.{key}")
    # Columnar files give every message every key that any message has.
    return {key: value for key, value in message.items() if value is not None}


def _encodable(text: str, what: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} holds half of a character ({ascii(text[error.start])} at position {error.start}), which no "
            "tokenizer reads; mend or drop the row"
        ) from error
    return text


def _word_boundary(text: str, limit: int) -> int:
    """The last place at or before `limit` where a word ends, before the single space that follows it."""
    cut = next((i for i in range(limit, 0, -1) if text[i - 1].isspace() or text[i - 1] in _WORD_ENDS), 0)
    return cut - 1 if cut and text[cut - 1] == " " else cut
