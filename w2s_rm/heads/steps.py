"""A logit for each class at the end of the step that is judged."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.errors import DataError
from w2s_rm.heads._base import CardWords, Collator
from w2s_rm.heads.candidates import refuse_bare
from w2s_rm.heads.classification import Classification
from w2s_rm.heads.encoding import encode_pieces
from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from w2s_rm.heads.scores import Scored
    from w2s_rm.heads.trees import Tree


@dataclass(frozen=True)
class Steps(Classification):
    """A logit for each class at the end of the step that is judged: a token classifier, as TRL's `PRMTrainer` trains.

    An example that begins another one of its batch is read where that one passes by, so a solution costs one pass in
    the layout with shared prefixes, however many steps it has.
    """

    name: ClassVar[str] = "steps"
    kind: ClassVar[str] = "token classifier"
    auto_name: ClassVar[str] = "AutoModelForTokenClassification"
    task_type: ClassVar[str] = "TOKEN_CLS"
    chains: ClassVar[bool] = True
    card: ClassVar[CardWords] = CardWords(
        kind="Process reward model: a logit for each class at the end of every step of a solution.",
        scores="logits",
        pipeline_tag="token-classification",
        tags=("prm", "process-reward-model"),
        reading=(
            "import torch",
            "",
            "bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]",
            "ids = bos + tokenizer(problem, add_special_tokens=False).input_ids",
            "for step in steps:  # each ends with the separator of its data",
            "    ids += tokenizer(step, add_special_tokens=False).input_ids",
            "    ids += tokenizer(separator, add_special_tokens=False).input_ids",
            "    right = model(torch.tensor([ids])).logits[0, -1].softmax(-1)[1]",
        ),
        with_trl=(
            "from transformers import AutoModelForTokenClassification, AutoTokenizer",
            "from trl.experimental.prm import PRMConfig, PRMTrainer",
            "",
            'model = AutoModelForTokenClassification.from_pretrained("{place}")',
            'tokenizer = AutoTokenizer.from_pretrained("{place}")',
            'args = PRMConfig("further", step_separator=separator)  # data: prompt, completions, labels',
            "trainer = PRMTrainer(model, args, train_dataset=dataset, processing_class=tokenizer)",
        ),
        trl_words="Trained further by TRL, on its stepwise supervision:",
        limits=("It judges steps that are written as those it was trained on, with the same separator.",),
    )

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
    ) -> list[Encoded]:
        """The problem and its steps, each a piece; an example that is no step is one piece."""
        # Where steps end is counted in characters of the prompt; a chat template would write another text around them.
        spoken = [example.id for example in examples if not isinstance(example.prompt, str)]
        if spoken:
            raise DataError(
                f"head steps reads plain text, but these examples are conversations: {', '.join(spoken[:5])}; give the "
                "problem and its steps as text"
            )
        pieces, counts = [_pieces(example) for example in examples], [len(example.candidates) for example in examples]
        encoded = encode_pieces(tokenizer, pieces, counts, max_length)
        return refuse_bare(self.name, examples, encoded)

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are prompts, one for each step."""
        from w2s_rm.heads.collation import PromptCollator

        return PromptCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """The prompt, read at its last token, whatever that is."""
        from w2s_rm.heads.trees import PROMPT, Tree

        prompt = example["prompt_ids"]
        # Token classifiers read no padding token as such, so there is none to step over as in `prompt_tree`.
        return Tree(prompt, [], [(PROMPT, len(prompt) - 1)])

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Read the logits at the end of each prompt."""
        from w2s_rm.heads.scores import Scored, classify, mask_ends

        outputs = classify(model, inputs)
        # Shared prefixes are read at their places only. Of whole rows the mask says where each ends, and not the
        # token as for sequence classifiers: a step may end with the one that pads.
        return Scored(outputs if outputs.dim() == 2 else mask_ends(outputs, inputs))

    def read(self, entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> tuple[Tensor, Tensor]:
        """The state at each prompt's end."""
        import torch

        from w2s_rm.heads.scores import mask_ends

        states = entered if entered.dim() == 2 else mask_ends(entered, inputs)
        return states, torch.arange(len(inputs["mask"]), device=entered.device)


def _pieces(example: Example) -> list[str]:
    # Cuts are where pieces end, in characters; the last one may be the prompt's end, after which no piece is left.
    text, cuts = str(example.prompt), () if example.step is None else example.step.cuts
    return [text[start:end] for start, end in itertools.pairwise((0, *cuts, len(text))) if start < end]
