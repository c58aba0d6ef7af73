"""Classification: a text and its classes, or a question and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.head_encoding import check_candidates, encode_for
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Classification:
    """Score the K classes of a text, or the K answers to a question.

    Head `classification` is the paper's: K logits at the prompt's end, for tasks with fixed classes. `reward` gives
    each class name or answer a scalar at its last token, `lm` sums the log-probabilities of its tokens.
    """

    heads: ClassVar[tuple[str, ...]] = ("classification", "reward", "lm")

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None, head: str
    ) -> list[Encoded]:
        """Tokenise examples; see [`~w2s_rm.data.head_encoding.encode_for`].

        Raises:
            DataError: Under `lm`, the tokenizer cannot write a candidate, or tell two of them apart.
        """
        encoded = encode_for(head, tokenizer, examples, max_length)
        if head == "lm":
            check_candidates(head, tokenizer, examples, encoded)
        return encoded
