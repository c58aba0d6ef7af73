"""Prompts and responses as conversations or as plain text, whatever they come as. No torch.

Plain text of a conversation is a transcript as in Anthropic's data: `\\n\\nHuman: ...\\n\\nAssistant: ...`.
"""

from __future__ import annotations

import re

from w2s_rm.types import Messages, Text

FORMATS = ("conversational", "text")

_TURN = re.compile(r"\n\n(Human|Assistant|System):")
_ROLES = {"Human": "user", "Assistant": "assistant", "System": "system"}
_NAMES = {role: name for name, role in _ROLES.items()}


def convert(prompt: Text, responses: tuple[Text, ...], form: str | None) -> tuple[Text, tuple[Text, ...]]:
    """Write a prompt and its responses in a form.

    Args:
        prompt (`str` or `Messages`): What is asked.
        responses (`tuple` of `str` or `Messages`): Answers of the same kind.
        form (`str`, *optional*): `conversational` or `text`; `None` leaves both as they are. Text that is no transcript
            becomes one message of the user; white space around a message is dropped.
    """
    if form == "conversational" and isinstance(prompt, str):
        return _turns(prompt), tuple(({"role": "assistant", "content": str(text).strip()},) for text in responses)
    if form == "text" and not isinstance(prompt, str):
        return _transcript(prompt) + "\n\nAssistant:", tuple(map(_answer, responses))
    return prompt, responses


def _turns(prompt: str) -> Messages:
    parts = _TURN.split(prompt)
    if len(parts) == 1:
        return ({"role": "user", "content": prompt.strip()},)
    turns = [("Human", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    spoken = [(name, text.strip()) for name, text in turns if text.strip()]
    return tuple({"role": _ROLES[name], "content": text} for name, text in spoken)


def _transcript(messages: Messages) -> str:
    return "".join(f"\n\n{_NAMES.get(one['role'], one['role'])}: {one['content']}" for one in messages)


def _answer(response: Text) -> Text:
    if isinstance(response, str) or not response:
        return response
    first, *rest = response
    return f" {first['content']}{_transcript(tuple(rest))}"
