"""Chess: a position and its legal moves, of which one is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.head_encoding import check_candidates, encode_for
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Chess:
    """Score the legal moves of a position.

    Head `lm` sums the log-probabilities of a move's tokens after the position, as a model that writes moves has them,
    so an untrained student has a score as well. `reward` is a move head: a scalar at each move's last token.
    """

    heads: ClassVar[tuple[str, ...]] = ("lm", "reward")

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None, head: str
    ) -> list[Encoded]:
        """Tokenise examples; see [`~w2s_rm.data.head_encoding.encode_for`].

        Raises:
            DataError: The tokenizer cannot write a move, or tell two of them apart.
        """
        encoded = encode_for(head, tokenizer, examples, max_length)
        check_candidates(head, tokenizer, examples, encoded)
        return encoded
