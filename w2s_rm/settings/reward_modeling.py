"""Reward modeling: a prompt and the responses to it, each given a scalar reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from w2s_rm.data.head_encoding import encode_for
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RewardModeling:
    """Score K responses under a shared prompt with a scalar head at each response's last token.

    For K = 2 the softmax of the scores is Bradley-Terry, for K > 2 it is Plackett-Luce's first choice (not all pairs).
    Responses have no fixed meaning by position, so a loss may not use a class prior.
    """

    heads: ClassVar[tuple[str, ...]] = ("reward",)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None, head: str
    ) -> list[Encoded]:
        """Tokenise examples; see [`~w2s_rm.data.head_encoding.encode_for`]."""
        return encode_for(head, tokenizer, examples, max_length)
