"""Tokens as each head reads them, and what a tokenizer must be able to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_rm.data.encoding import encode_batch, encode_prompts
from w2s_rm.errors import DataError, join_problems
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_for(
    head: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
) -> list[Encoded]:
    """Tokenise examples as a head reads them.

    Args:
        head (`str`): `reward` reads candidates with the eos token, `lm` without it, `classification` the prompt alone.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What to encode.
        max_length (`int`, *optional*): Most tokens in a row.

    Raises:
        DataError: An `lm` head gets messages, a prompt has no token from which a head could read or predict, or a
            chat template refuses conversations, leaves out messages, or writes the candidates of an example alike.
    """
    prompts = [example.prompt for example in examples]
    kwargs = [example.template_kwargs for example in examples]
    if head == "classification":
        counts = [len(example.candidates) for example in examples]
        return _with_prompts(head, examples, encode_prompts(tokenizer, prompts, counts, max_length, kwargs))
    candidates = [example.candidates for example in examples]
    if head == "lm" and (spoken := [e.id for e in examples if not isinstance(e.candidates[0], str)]):
        raise DataError(f"head lm scores plain text, but these examples are conversations: {', '.join(spoken[:5])}")
    names = [f"example {example.id!r}" for example in examples]
    encoded = encode_batch(tokenizer, prompts, candidates, max_length, kwargs, end=head == "reward", names=names)
    _refuse_alike_conversations(tokenizer, examples, encoded)
    return _with_prompts(head, examples, encoded) if head == "lm" else encoded


def _refuse_alike_conversations(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
) -> None:
    """Refuse a template that hides in what conversations differ: what is said, or who says it."""
    problems = [
        f"example {example.id!r}: candidates {' and '.join(map(str, alike))} are rendered alike"
        for example, row in zip(examples, encoded, strict=True)
        if not isinstance(example.candidates[0], str)
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


def _alike_positions(row: Encoded) -> list[int]:
    ids = [tuple(tokens) for tokens in row.candidate_ids]
    return [position for position, tokens in enumerate(ids, start=1) if ids.count(tokens) > 1]


def _with_prompts(head: str, examples: Sequence[Example], encoded: list[Encoded]) -> list[Encoded]:
    bare = [example.id for example, row in zip(examples, encoded, strict=True) if not row.prompt_ids]
    if bare:
        raise DataError(f"head {head} reads the prompt, but these examples have no token in it: {', '.join(bare[:5])}")
    return encoded


def check_candidates(
    head: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
) -> None:
    """Refuse candidates that a tokenizer cannot tell apart, or, where their tokens' probabilities count, write.

    Args:
        head (`str`): `lm` takes no unknown words; a `classification` head reads no candidates at all.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        examples (`Sequence[Example]`): What was encoded.
        encoded (`Sequence[Encoded]`): Their tokens.

    Raises:
        DataError: Names the examples and the candidates.
    """
    if head == "classification":
        return
    special = {tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id}
    unknown = tokenizer.unk_token_id if head == "lm" and tokenizer.unk_token_id not in special else None
    problems: list[str] = []
    for example, row in zip(examples, encoded, strict=True):
        place = f"example {example.id!r}"
        for candidate, ids in zip(example.candidates, row.candidate_ids, strict=True):
            if unknown is not None and unknown in ids:
                problems.append(f"{place}: candidate {candidate!r} has words that are not in the vocabulary")
        if len({tuple(ids) for ids in row.candidate_ids}) < len(row.candidate_ids):
            cut = " where max_length cuts them" if row.cut_candidate_tokens else ""
            problems.append(
                f"{place}: candidates become the same tokens{cut}: {', '.join(map(repr, _alike(example, row)))}"
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
    return [example.candidates[position - 1] for position in _alike_positions(row)]
