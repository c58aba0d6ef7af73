"""A scalar at each candidate's last token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.heads._base import CardWords, Collator, Head
from w2s_rm.heads.candidates import encode_candidates, refuse_indistinct
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from w2s_rm.heads.scores import Scored
    from w2s_rm.heads.trees import Tree


@dataclass(frozen=True)
class Reward(Head):
    """A scalar at each candidate's last token, the eos token that ends it."""

    name: ClassVar[str] = "reward"
    kind: ClassVar[str] = "reward model with one output"
    gives_rewards: ClassVar[bool] = True
    card: ClassVar[CardWords] = CardWords(
        kind="Reward model: one number for a response to a prompt.",
        scores="rewards",
        tags=("reward-trainer", "reward-model"),
        reading=(
            'text = prompt + response + (tokenizer.eos_token or "")  # of a conversation: apply_chat_template',
            'reward = model(**tokenizer(text, return_tensors="pt")).logits[0, 0]',
        ),
        with_trl=(
            "from trl import GRPOTrainer",
            "from w2s_rm.integrations.rewards import reward_function",
            "",
            'reward = reward_function("{place}")',
            "trainer = GRPOTrainer(model=policy, reward_funcs=reward, train_dataset=prompts)",
        ),
        limits=(
            "A policy that is optimised against it finds what it gets wrong: watch the true outcome, not the reward.",
        ),
    )

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """One output, whatever the classes."""
        return {"num_labels": 1}

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
    ) -> list[Encoded]:
        """Each candidate with its prompt and the eos token."""
        return encode_candidates(tokenizer, examples, max_length, end=True)

    def check_candidates(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
    ) -> None:
        """Refuse candidates of the same tokens."""
        refuse_indistinct(tokenizer, examples, encoded)

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are candidates."""
        from w2s_rm.heads.collation import PaddedCollator

        return PaddedCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Branches are candidates."""
        from w2s_rm.heads.trees import candidate_tree

        return candidate_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Those of the candidates."""
        return list(map(len, candidates))

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Read the scalar of each candidate."""
        from w2s_rm.heads.scores import Scored, classify, scatter, tie

        return Scored(tie(scatter(classify(model, inputs).squeeze(-1), inputs["mask"]), inputs))

    def read(self, entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> tuple[Tensor, Tensor]:
        """The state at each candidate's last token."""
        from w2s_rm.heads.scores import row_ends

        # `nonzero` goes row by row, as the candidates lie: its first column says whose each one is.
        return row_ends(entered, inputs, pad_token_id), inputs["mask"].nonzero()[:, 0]

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The score layer, whatever its name."""
        from torch import nn

        # One output is what tells it. Gates of experts may have one output too, and computed in float32 do no harm.
        return [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1]
