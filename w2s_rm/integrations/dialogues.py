"""Prompts and responses as conversations or as plain text, whatever they come as. No torch.

Plain text of a conversation is a transcript as in Anthropic's data: `\\n\\nHuman: ...\\n\\nAssistant: ...`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from w2s_rm.errors import DataError
from w2s_rm.types import Messages, Text

FORMATS = ("conversational", "text")

_TURN = re.compile(r"\n\n(?P<role>Human|Assistant|System):")
_OPENING = re.compile(r"(?!\n\n)\s*(?:Human|Assistant|System):")
_ROLES = {"Human": "user", "Assistant": "assistant", "System": "system"}
_NAMES = {role: name for name, role in _ROLES.items()}


def convert(
    prompt: Text, responses: tuple[Text, ...], form: str | None, *, guessed: bool = False
) -> tuple[Text, tuple[Text, ...]]:
    """Write a prompt and its responses in a form.

    A transcript is split at its own marks, prompt and response as one text, wherever the two were parted: what the
    assistant had begun to say belongs to the response, and what the user says in between is a message of the user. The
    prompt ends before a message of the assistant. Text without marks is one message of the user and its answer.

    Args:
        prompt (`str` or `Messages`): What is asked.
        responses (`tuple` of `str` or `Messages`): Answers of the same kind.
        form (`str`, *optional*): `conversational` or `text`; `None` leaves both as they are. White space around a
            message is dropped, and so is a turn in which nothing is said; neighbours of one role become one message.
        guessed (`bool`, *optional*, defaults to `False`): The prompt is no more than what the texts begin with in
            common, so only marks say where it ends.

    Raises:
        DataError: Text has no turns of which the responses could be made; says why. Messages that call tools, as text.
    """
    if form == "conversational" and isinstance(prompt, str):
        return _split(prompt, [str(response) for response in responses], guessed)
    if form == "text" and not isinstance(prompt, str):
        if any(_calls(text) for text in (prompt, *responses)):
            raise DataError("calls of tools have no form in a transcript; leave out --format text")
        return _transcript(prompt) + "\n\nAssistant:", tuple(map(_answer, responses))
    return prompt, responses


def _split(prompt: str, responses: Sequence[str], guessed: bool) -> tuple[Messages, tuple[Messages, ...]]:
    spoken = [_messages(*_marked(prompt, response, guessed)) for response in responses]
    # Up to here all say the same.
    start = min(start for _, start in spoken)
    # Back to a message of the assistant in all of them: TRL's chosen and rejected begin with what the model says.
    while start and any(messages[start]["role"] != "assistant" for messages, _ in spoken):
        start -= 1
    if not start:
        raise DataError("the texts share no beginning after which the assistant speaks")
    answers = tuple(messages[start:] for messages, _ in spoken)
    if any(answer in answers[:number] for number, answer in enumerate(answers)):
        raise DataError("the responses are the same but for white space")
    return spoken[0][0][:start], answers


def _marked(prompt: str, response: str, guessed: bool) -> tuple[str, int]:
    """Return a whole transcript, and where in it the response begins."""
    text = prompt + response
    marks = list(_TURN.finditer(text))
    if marks and _OPENING.match(text):
        # The marks of a text that was stripped, the first one without its empty line.
        text, prompt = f"\n\n{text}", f"\n\n{prompt}"
        marks = list(_TURN.finditer(text))
    before = [mark for mark in marks if mark.start() < len(prompt)]
    if not before:
        if guessed:
            raise DataError("no mark says where the prompt ends")
        asked = f"\n\nHuman: {prompt}\n\nAssistant:"
        return asked + response, len(asked)
    # Whether the first mark of the response itself says that the assistant speaks.
    answered = len(marks) > len(before) and marks[len(before)]["role"] == "Assistant"
    # A prompt that ends with the user's turn, and an answer that does not say whose it is.
    if before[-1]["role"] != "Assistant" and before[-1].end() <= len(prompt) and not answered and not guessed:
        asked = f"{prompt}\n\nAssistant:"
        return asked + response, len(asked)
    return text, len(prompt)


def _messages(text: str, start: int) -> tuple[Messages, int]:
    """Return the messages of a transcript, and which of them the place `start` belongs to."""
    marks = list(_TURN.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)]
    # What stands before the first mark is said by the user; mostly it is empty and falls away below.
    turns = [("Human", 0, text[: ends[0]])]
    turns += [(mark["role"], mark.start(), text[mark.end() : end]) for mark, end in zip(marks, ends[1:], strict=True)]
    messages: list[dict[str, str]] = []
    index: int | None = None
    holder = max(number for number, (_, begin, _) in enumerate(turns) if begin <= start)
    for number, (name, _, said) in enumerate(turns):
        role, content = _ROLES[name], said.strip()
        # Nothing is said by an empty turn, but that a response is empty.
        if content or number == len(turns) - 1:
            # One message: some chat templates refuse two of one role in a row.
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] = "\n\n".join(filter(None, (messages[-1]["content"], content)))
            else:
                messages.append({"role": role, "content": content})
            # The turn that holds the place, or, where it is empty and was left out, the next that is not.
            if number >= holder and index is None:
                index = len(messages) - 1
    if any(message["role"] == "system" for message in messages[1:]):
        raise DataError("a turn of the system stands between others")
    return tuple(messages), index or 0


def _transcript(messages: Messages) -> str:
    return "".join(f"\n\n{_NAMES.get(message['role'], message['role'])}: {message['content']}" for message in messages)


def _answer(response: Text) -> Text:
    if isinstance(response, str) or not response:
        return response
    # `\n\nAssistant:` ends the prompt, so the first message goes on behind it and has no mark of its own.
    first, *rest = response
    return f" {first['content']}{_transcript(tuple(rest))}"


def _calls(text: Text) -> bool:
    return not isinstance(text, str) and any(message.get("tool_calls") for message in text)
