"""Candidates as tokens after their prompt, and what a tokenizer must be able to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_rm.errors import DataError, join_problems
from w2s_rm.heads.encoding import encode_batch
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_candidates(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None, *, end: bool
) -> list[Encoded]:
    """Tokenise examples with all their candidates.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What to encode.
        max_length (`int`, *optional*): Most tokens in a row.
        end (`bool`): Whether plain text ends with the eos token.

    Raises:
        DataError: A chat template refuses conversations, leaves out messages, or writes the candidates of an example
            alike.
    """
    prompts, candidates = [example.prompt for example in examples], [example.candidates for example in examples]
    kwargs = [example.template_kwargs for example in examples]
    names = [f"example {example.id!r}" for example in examples]
    encoded = encode_batch(tokenizer, prompts, candidates, max_length, kwargs, end=end, names=names)
    _refuse_alike_conversations(tokenizer, examples, encoded)
    return encoded


def _refuse_alike_conversations(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
) -> None:
    """Refuse a template that hides in what conversations differ: what is said, or who says it."""
    problems = [
        f"example {example.id!r}: candidates {' and '.join(map(str, alike))} are rendered alike"
        for example, row in zip(examples, encoded, strict=True)
        # Plain text that becomes the same tokens is for `check_candidates` to refuse, which not every setting asks.
        if not isinstance(example.candidates[0], str)
        # What was cut away may be what told them apart: that is a matter of max_length, not of the template.
        and not row.cut_candidate_tokens
        and (alike := _alike_positions(row))
    ]
    if problems:
        remedy = (
            "use another one (chat_template_path), mend the roles in the data, or drop these rows (task preference: "
            "alike: drop)"
        )
        raise DataError(
            join_problems(
                f"the chat template of tokenizer {tokenizer.name_or_path!r} hides what differs; {remedy}", problems
            )
        )


def refuse_bare(head: str, examples: Sequence[Example], encoded: list[Encoded]) -> list[Encoded]:
    """Return what was encoded, where every prompt has a token that a head can read.

    Args:
        head (`str`): Its name, for the message.
        examples (`Sequence[Example]`): What was encoded.
        encoded (`list[Encoded]`): Their tokens.

    Raises:
        DataError: Names examples with a prompt that has none.
    """
    bare = [example.id for example, row in zip(examples, encoded, strict=True) if not row.prompt_ids]
    if bare:
        raise DataError(f"head {head} reads the prompt, but these examples have no token in it: {', '.join(bare[:5])}")
    return encoded


def refuse_indistinct(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    encoded: Sequence[Encoded],
    *,
    unknown: int | None = None,
) -> None:
    """Refuse candidates of an example that have the same tokens, or one that stands for any word.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What was encoded.
        encoded (`Sequence[Encoded]`): Their tokens.
        unknown (`int`, *optional*): The token of words that are not in the vocabulary, where it is refused.

    Raises:
        DataError: Names the examples and the candidates.
    """
    problems: list[str] = []
    for example, row in zip(examples, encoded, strict=True):
        where = f"example {example.id!r}"
        for candidate, ids in zip(example.candidates, row.candidate_ids, strict=True):
            # The token of one unknown word is that of every other: its probability says nothing about this one.
            if unknown is not None and unknown in ids:
                problems.append(f"{where}: candidate {candidate!r} has words that are not in the vocabulary")
        # The model would give them one score, and a label that prefers one of them could never be met.
        if len({tuple(ids) for ids in row.candidate_ids}) < len(row.candidate_ids):
            cut = " where max_length cuts them" if row.cut_candidate_tokens else ""
            problems.append(
                f"{where}: candidates become the same tokens{cut}: {', '.join(map(repr, _alike(example, row)))}"
            )
    if problems:
        raise DataError(
            join_problems(
                f"the tokenizer {tokenizer.name_or_path!r} cannot write these candidates; use another one, another "
                "notation of the task, or a larger max_length",
                problems,
            )
        )


def _alike(example: Example, row: Encoded) -> list[object]:
    # Positions are those of messages, which count from 1.
    return [example.candidates[position - 1] for position in _alike_positions(row)]


def _alike_positions(row: Encoded) -> list[int]:
    ids = [tuple(tokens) for tokens in row.candidate_ids]
    return [position for position, tokens in enumerate(ids, start=1) if ids.count(tokens) > 1]
