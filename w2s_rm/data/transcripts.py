"""What is argued for the candidates of an example, and how it goes before the eyes of a judge. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from w2s_rm.data.messages import words
from w2s_rm.types import Example, Text, hash_fraction

DEBATE, CONSULTANCY = "debate", "consultancy"
FORMS = (DEBATE, CONSULTANCY)
"""Whether every candidate has a side that argues for it, or one alone."""
ASK = (
    "{prompt}\n\nArgue in a few sentences that the right answer is this one:{candidate}\n\n"
    "Said so far:{said}\n\nArgument:"
)
"""What a debater reads."""
SHOW = "\n\nFor the answer{candidate}:{argument}"
"""How a judge reads an argument."""


@dataclass(frozen=True)
class Argument:
    """What one side said in one turn.

    Args:
        id (`str`): Example id.
        turn (`int`): From 0.
        candidate (`int`): Index of the candidate that it argues for.
        text (`str`): What was said.
    """

    id: str
    turn: int
    candidate: int
    text: str


def sides(example: Example, form: str, seed: int) -> tuple[int, ...]:
    """Return the candidates that are argued for: all, or one that is drawn by a hash, right as often as by chance.

    Args:
        example (`Example`): What is argued about.
        form (`str`): One of [`FORMS`].
        seed (`int`): Of the draw.
    """
    n = len(example.candidates)
    # By a hash, so that the side is the same in every turn and whenever it is asked for.
    return tuple(range(n)) if form == DEBATE else (int(n * hash_fraction("consultant", seed, example.id)),)


def request(template: str, example: Example, candidate: int, said: Sequence[Argument], show: str) -> str:
    """Write what a debater reads: `{prompt}`, `{candidate}` and `{said}` stand for these.

    Args:
        template (`str`): With the words above in braces.
        example (`Example`): What is argued about.
        candidate (`int`): The side.
        said (`Sequence[Argument]`): What was said in the turns before.
        show (`str`): How that is written, as for [`with_transcript`].
    """
    texts = {
        "prompt": plain(example.prompt),
        "candidate": plain(example.candidates[candidate]),
        # With a space before it, as arguments and candidates come with theirs.
        "said": transcript(example, said, show) or " nothing",
    }
    return _filled(template, texts)


def transcript(example: Example, said: Iterable[Argument], show: str) -> str:
    """Write arguments one after the other.

    Args:
        example (`Example`): What they are about.
        said (`Iterable[Argument]`): The arguments, in the order in which they were made.
        show (`str`): A text in which `{candidate}` and `{argument}` stand for these.
    """
    return "".join(
        _filled(show, {"candidate": plain(example.candidates[argument.candidate]), "argument": argument.text})
        for argument in said
    )


def with_transcript(example: Example, said: Iterable[Argument], show: str) -> Example:
    """Return the example as a judge reads it: the transcript stands at the end of the prompt, the rest is as it was.

    Ids and candidates stay, so that labels of the one are labels of the other.

    Args:
        example (`Example`): What is judged.
        said (`Iterable[Argument]`): The arguments.
        show (`str`): How one is written, see [`transcript`].
    """
    text = transcript(example, said, show)
    if isinstance(example.prompt, str):
        return replace(example, prompt=example.prompt + text)
    # To the last message and not in a new one, for templates may refuse two messages of one role.
    *before, last = example.prompt or ({"role": "user", "content": ""},)
    return replace(example, prompt=(*before, {**last, "content": f"{last.get('content') or ''}{text}"}))


def record(example: Example, said: Iterable[Argument]) -> dict[str, Any]:
    """Return what stands in a line of a file: the example, and what was said of it.

    Args:
        example (`Example`): What is argued about.
        said (`Iterable[Argument]`): The arguments.
    """
    arguments = [{"turn": argument.turn, "candidate": argument.candidate, "text": argument.text} for argument in said]
    candidates = [plain(candidate) for candidate in example.candidates]
    asked = {"id": example.id, "prompt": plain(example.prompt), "candidates": candidates, "gold": example.gold}
    return {**asked, "arguments": arguments}


def plain(text: Text) -> str:
    """Return a text, or a conversation line by line, as one text.

    Args:
        text (`str` or `Messages`): What to write.
    """
    if isinstance(text, str):
        return text
    return "\n".join(f"{message.get('role')}: {words(message)}" for message in text)


def _filled(template: str, texts: dict[str, str]) -> str:
    """Put texts into their places at once: braces in them stay what they are."""
    pieces = [template]
    for name, text in texts.items():
        mark = "{" + name + "}"
        split: list[str] = []
        # Every second piece was put in.
        for place, piece in enumerate(pieces):
            if place % 2:
                split.append(piece)
                continue
            first, *rest = piece.split(mark)
            split.append(first)
            for after in rest:
                split += [text, after]
        pieces = split
    return "".join(pieces)
