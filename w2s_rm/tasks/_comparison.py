"""From the cells of a row to one comparison: text or messages, the common prompt, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.data.examples import content_id
from w2s_rm.data.messages import is_null as is_null
from w2s_rm.data.messages import parse_text as parse_text
from w2s_rm.data.messages import words
from w2s_rm.errors import DataError
from w2s_rm.types import Example, Text, content_hash

# Where a prompt may end inside running text: after white space, or after the stops of scripts written without it.
_WORD_ENDS = frozenset("。？！：；，、")
_ASKING = ("user", "human")


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
    # A blank prompt is none: what the conversations have in common stands for it.
    if not prompt.strip():
        return split_common(responses)
    for response in responses:
        messages: Sequence[Any] = response
        first = next((message for message in messages if message["role"] != "system"), None)
        if first is None or first["role"] not in _ASKING or words(first).strip() != prompt.strip():
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
    # Characters of texts, or messages of conversations.
    while common < shortest and all(text[common] == texts[0][common] for text in texts):
        common += 1
    if isinstance(texts[0], str):
        # Each candidate keeps a character that is no white space.
        cut = _word_boundary(texts[0], min(common, *(len(str(text).rstrip()) - 1 for text in texts)))
    else:
        cut = min(common, shortest - 1)
    return texts[0][:cut], tuple(text[cut:] for text in texts)


def comparison(
    prompt: Text,
    candidates: tuple[Text, ...],
    gold: int | None,
    *,
    group: str | None = None,
    id: str | None = None,
    template_kwargs: Mapping[str, Any] | None = None,
) -> Example:
    """Build a checked example, candidates in the order given.

    Args:
        prompt (`str` or `Messages`): Text or messages shared by all candidates.
        candidates (`tuple` of `str` or `Messages`): Two or more.
        gold (`int` or `None`): Index of the right candidate.
        group (`str`, *optional*): What must stay in one split; by default the prompt, and where there is no prompt,
            the comparison itself.
        id (`str`, *optional*): By default [`content_id`][w2s_rm.data.examples.content_id].
        template_kwargs (`Mapping[str, Any]`, *optional*): What the chat template is given beside the messages.

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
    # By hash, for conversations are made of mappings, of which there is no set.
    if len({content_hash(candidate) for candidate in candidates}) < len(candidates):
        raise DataError("the responses are identical, so there is nothing to compare; drop the row")
    own_id = content_id(prompt, candidates, template_kwargs)
    # Without a prompt each comparison is a group of its own: an empty one would put all of them together.
    own_group = content_hash((prompt or own_id) if group is None else group)
    return Example(id or own_id, own_group, prompt, candidates, gold, template_kwargs=template_kwargs or {})


def is_blank(text: Text) -> bool:
    """Whether text is white space only, or a conversation in which nobody says anything."""
    return not text.strip() if isinstance(text, str) else not any(words(message).strip() for message in text)


def _word_boundary(text: str, limit: int) -> int:
    """The last place at or before `limit` where a word ends, before the single space that follows it."""
    cut = next((i for i in range(limit, 0, -1) if text[i - 1].isspace() or text[i - 1] in _WORD_ENDS), 0)
    return cut - 1 if cut and text[cut - 1] == " " else cut
