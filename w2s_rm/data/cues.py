"""A word that goes with the right answer in one split and with nothing in the others: a spurious cue. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from w2s_rm.errors import DataError, join_problems
from w2s_rm.types import Example, Text, hash_fraction


def with_cue(examples: Iterable[Example], word: str, agreement: float | None, *, classes: bool) -> tuple[Example, ...]:
    """Put a word into every example, by a hash of its id.

    Of exchangeable candidates one ends with the word: with the chance `agreement` the right one, otherwise one of the
    others. Where candidates are classes it begins the prompt: with the chance `agreement` where the last class is
    right, and with the chance `1 - agreement` elsewhere. Without an agreement it tells nothing: each of K candidates
    has it with the chance 1/K, and every prompt with the chance 1/2.

    Args:
        examples (`Iterable[Example]`): Examples of one split, in any order of candidates.
        word (`str`): The word; blanks that part it from the text are added.
        agreement (`float`, *optional*): Chance, in [0, 1]; `None` for that at which the word tells nothing.
        classes (`bool`): Whether candidates are classes.

    Raises:
        DataError: Examples that are conversations or steps of solutions, or have no ground truth; names the ids.
    """
    examples = tuple(examples)
    problems = [f"id {example.id!r}: {why}" for example in examples if (why := _unfit(example)) is not None]
    if problems:
        raise DataError(join_problems("a cue cannot be put into these; leave them out, or remove the cue", problems))
    add = _to_prompt if classes else _to_candidate
    # The fraction of an id does not change with the agreement: with a higher one, examples that agreed still do.
    return tuple(
        add(example, word, hash_fraction("cue", word, example.id) < _chance(example, agreement, classes=classes))
        for example in examples
    )


def _chance(example: Example, agreement: float | None, *, classes: bool) -> float:
    if agreement is not None:
        return agreement
    # One of K candidates has the word: the right one no more often than each of the others.
    return 0.5 if classes else 1 / len(example.candidates)


def _unfit(example: Example) -> str | None:
    if not all(isinstance(text, str) for text in (example.prompt, *example.candidates)):
        return "a conversation"
    if example.step is not None:
        return "a step of a solution, which must begin as the steps after it do"
    return "no ground truth" if example.gold is None else None


def _to_prompt(example: Example, word: str, agrees: bool) -> Example:
    # Either both hold or neither: with the chance `agreement` the word says that the last class is right, and is true.
    last_is_right = example.gold == len(example.candidates) - 1
    return replace(example, prompt=f"{word} {example.prompt}") if last_is_right == agrees else example


def _to_candidate(example: Example, word: str, agrees: bool) -> Example:
    ids = example.candidate_ids
    others = [k for k in range(len(ids)) if k != example.gold]
    # By content: the order of candidates says nothing.
    cued = example.gold if agrees else min(others, key=lambda k: hash_fraction("cue", example.id, ids[k]))
    marked: tuple[Text, ...] = tuple(
        f"{text} {word}" if k == cued else text for k, text in enumerate(example.candidates)
    )
    return replace(example, candidates=marked)
