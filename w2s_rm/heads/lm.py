"""The sum of log-probabilities of each candidate's tokens after the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.errors import DataError
from w2s_rm.heads._base import CardWords, Collator, Head
from w2s_rm.heads.candidates import encode_candidates, refuse_bare, refuse_indistinct
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from w2s_rm.heads.scores import Scored
    from w2s_rm.heads.trees import Tree


@dataclass(frozen=True)
class Lm(Head):
    """The sum of log-probabilities of each candidate's tokens after the prompt.

    Fed are the prompt and all tokens of a candidate but the last. A candidate whose fed tokens begin another's needs no
    row or branch of its own, so candidates of one token, such as moves with a word each, cost no more than the prompt.
    """

    name: ClassVar[str] = "lm"
    kind: ClassVar[str] = "language model"
    auto_name: ClassVar[str] = "AutoModelForCausalLM"
    task_type: ClassVar[str] = "CAUSAL_LM"
    writes: ClassVar[bool] = True
    card: ClassVar[CardWords] = CardWords(
        kind="Language model: the score of an answer is the sum of the log-probabilities of its tokens.",
        scores="scores",
        pipeline_tag="text-generation",
    )

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """None: the vocabulary holds all candidates."""
        return {}

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
    ) -> list[Encoded]:
        """Each candidate after its prompt, without the eos token; conversations are refused."""
        # Templates end an answer with tokens of their own, whose probabilities would count as the answer's.
        if spoken := [example.id for example in examples if not isinstance(example.candidates[0], str)]:
            raise DataError(f"head lm scores plain text, but these examples are conversations: {', '.join(spoken[:5])}")
        return refuse_bare(self.name, examples, encode_candidates(tokenizer, examples, max_length, end=False))

    def check_candidates(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
    ) -> None:
        """Refuse candidates of the same tokens, and words that the tokenizer does not know."""
        # GPT-2 has its eos token stand for unknown words, too; as such it never occurs, for every byte is known.
        special = {tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id}
        unknown = tokenizer.unk_token_id if tokenizer.unk_token_id not in special else None
        refuse_indistinct(tokenizer, examples, encoded, unknown=unknown)

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are prompts with what candidates share, padded on the left so that what is read stands at the end."""
        from w2s_rm.heads.collation import PrefixCollator

        return PrefixCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Branches are candidates without their last tokens."""
        from w2s_rm.heads.trees import token_tree

        return token_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Those of the beginnings that begin no other."""
        from w2s_rm.heads.collation import share_prefixes

        return list(map(len, share_prefixes([tuple(ids[:-1]) for ids in candidates])[1]))

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Sum the log-probabilities of each candidate's tokens, and see which one greedy decoding would write."""
        from w2s_rm.heads.scores import score_tokens

        return score_tokens(model, inputs)

    def read(self, entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> tuple[Tensor, Tensor]:
        """The state at the place that predicts each token of each candidate."""
        # Of each candidate its example, and of each token that of its candidate.
        owner_M = inputs["mask"].nonzero()[:, 0][inputs["token_candidates"]]
        return entered.reshape(-1, entered.shape[-1])[inputs["token_places"]], owner_M

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The unembedding."""
        from torch import nn

        module: Any = model
        # It may be tied to the embeddings: computing in float32 leaves the weights, which are one tensor, as they are.
        layer = module.get_output_embeddings()
        # An adapter wraps it into something that is no `Linear`.
        return [layer] if isinstance(layer, nn.Linear) else []
