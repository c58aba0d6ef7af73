"""A logit for each class at the prompt's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.heads._base import CardWords, Collator, Head
from w2s_rm.heads.candidates import refuse_bare
from w2s_rm.heads.encoding import encode_prompts
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from w2s_rm.heads.scores import Scored
    from w2s_rm.heads.trees import Tree

# What transformers calls the last layer: `score` in decoders, `classifier` in encoders.
_CLASSIFIERS = {"score", "classifier"}


@dataclass(frozen=True)
class Classification(Head):
    """A logit for each class at the prompt's end."""

    name: ClassVar[str] = "classification"
    kind: ClassVar[str] = "classifier"
    needs_classes: ClassVar[bool] = True
    card: ClassVar[CardWords] = CardWords(
        kind="Classifier: a logit for each class, read at the prompt's end.", scores="logits"
    )

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """One output for each class, under its name."""
        if classes is None:
            raise TypeError("a classification head needs fixed classes")
        # Classes begin with the blank that parts them from the prompt; a config's names should not.
        labels = dict(enumerate(name.strip() for name in classes))
        return {"num_labels": len(labels), "id2label": labels, "label2id": {v: k for k, v in labels.items()}}

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
    ) -> list[Encoded]:
        """The prompt alone; candidates have no tokens."""
        prompts, counts = [example.prompt for example in examples], [len(example.candidates) for example in examples]
        kwargs = [example.template_kwargs for example in examples]
        return refuse_bare(self.name, examples, encode_prompts(tokenizer, prompts, counts, max_length, kwargs))

    def check_candidates(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
    ) -> None:
        """Nothing: no candidate is read."""

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are prompts."""
        from w2s_rm.heads.collation import PromptCollator

        return PromptCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """No branches: sharing rows saves the padding."""
        from w2s_rm.heads.trees import prompt_tree

        return prompt_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """One row with nothing after the prompt."""
        return [0]

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Read the logits of each prompt."""
        from w2s_rm.heads.scores import Scored, classify

        # Classes are the candidates of every example, in the order of the outputs: nothing to scatter, and no padding.
        return Scored(classify(model, inputs))

    def read(self, entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> tuple[Tensor, Tensor]:
        """The state at each prompt's end."""
        import torch

        from w2s_rm.heads.scores import row_ends

        return row_ends(entered, inputs, pad_token_id), torch.arange(len(inputs["mask"]), device=entered.device)

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The classifier's last layer."""
        from torch import nn

        # By name: a LoRA layer may have as many outputs as there are classes.
        return [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and _CLASSIFIERS & set(name.split("."))
        ]
