"""What a head is. No torch at import: recipes, plans and reports ask heads too.

Shape suffixes: B examples, K candidates, R rows fed to the model, T tokens, D width, F places that are read, M of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm.types import Encoded, Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from w2s_rm.heads.scores import Scored
    from w2s_rm.heads.trees import Tree

Collator = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class CardWords:
    """What a model card says about models of a head.

    Args:
        kind (`str`): A sentence that says what such a model is.
        scores (`str`): What its scores are called.
        pipeline_tag (`str`): The hub's name for what it does.
        tags (`tuple[str, ...]`, *optional*): What the hub finds it by, beside what all models here have.
        reading (`tuple[str, ...]`, *optional*): Lines of Python that read a score, after the model is loaded.
        with_trl (`tuple[str, ...]`, *optional*): Lines of Python that give it to a trainer of TRL's; `{place}` stands
            for its folder.
        trl_words (`str`, *optional*): Says before these lines what they do.
        limits (`tuple[str, ...]`, *optional*): Sentences about what it is not to be trusted with.
    """

    kind: str
    scores: str
    pipeline_tag: str = "text-classification"
    tags: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    with_trl: tuple[str, ...] = ()
    trl_words: str = "In batches, with the chat template it was trained with, and as `reward_funcs` of TRL's trainers:"
    limits: tuple[str, ...] = ()


class Head(ABC):
    """A way to score candidates: what its models are, how examples become rows for them, and the arithmetic."""

    name: ClassVar[str]
    """The word in a recipe."""
    kind: ClassVar[str]
    """Names its models in messages."""
    auto_name: ClassVar[str] = "AutoModelForSequenceClassification"
    """The class of transformers that loads its models."""
    task_type: ClassVar[str] = "SEQ_CLS"
    """PEFT's name for them."""
    gives_rewards: ClassVar[bool] = False
    """Whether its scores are rewards of any text, which policies are optimised against."""
    writes: ClassVar[bool] = False
    """Whether its models are language models: scores are log-probabilities, and no weight of the head is new."""
    needs_classes: ClassVar[bool] = False
    """Whether it has an output for each of fixed classes, and reads no candidates."""
    chains: ClassVar[bool] = False
    """Whether examples may begin one another, so that one row holds them all where prefixes are shared."""
    card: ClassVar[CardWords]
    """What a model card says."""

    @property
    def auto_class(self) -> Any:
        """Loads its models."""
        # By name and here, so that who only asks what a head is does not load transformers.
        import transformers

        return getattr(transformers, self.auto_name)

    @abstractmethod
    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """Keyword arguments with which a model of this head is loaded.

        Args:
            classes (`Sequence[str]`, *optional*): The fixed classes of the task.
        """

    @abstractmethod
    def encode(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_length: int | None
    ) -> list[Encoded]:
        """Tokenise examples as the head reads them.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
            examples (`Sequence[Example]`): What to encode.
            max_length (`int`, *optional*): Most tokens in a row.

        Raises:
            DataError: A prompt has no token from which the head could read or predict, or a chat template refuses
                conversations, leaves out messages, or writes the candidates of an example alike.
        """

    @abstractmethod
    def check_candidates(
        self, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], encoded: Sequence[Encoded]
    ) -> None:
        """Refuse candidates that a tokenizer cannot tell apart, or, where their tokens' probabilities count, write.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
            examples (`Sequence[Example]`): What was encoded.
            encoded (`Sequence[Encoded]`): Their tokens.

        Raises:
            DataError: Names the examples and the candidates.
        """

    @abstractmethod
    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Make the collator of the padded layout, which lays out rows for [`score`].

        Args:
            pad_token_id (`int`): Token to pad with.
            pad_to_multiple_of (`int`, *optional*): Round the length of rows up to a multiple of this.
        """

    @abstractmethod
    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Lay out an example for the layout with shared prefixes.

        Args:
            example (`Mapping`): Encoded row.
            pad_token_id (`int`): Token to pad with.
        """

    @abstractmethod
    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Count the tokens that follow the prompt in each row, or branch, of an example.

        Args:
            candidates (`Sequence[Sequence[int]]`): Tokens of the K candidates.
        """

    @abstractmethod
    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Score a batch.

        Args:
            model (`nn.Module`): The model, wrapped or not; see [`~w2s_rm.heads.attention.read_branches`] for shared
                prefixes.
            inputs (`Mapping`): What the collator of either layout made.
        """

    @abstractmethod
    def read(self, entered: Tensor, inputs: Mapping[str, Any], pad_token_id: int) -> tuple[Tensor, Tensor]:
        """Return the hidden states of which [`score`] makes scores, and which example of the batch each is of.

        They are the same in both layouts.

        Args:
            entered (`Tensor` of shape `(R, T, D)` or `(F, D)`): What entered the model's output layer: the states of
                all tokens, or only those that are read.
            inputs (`Mapping`): What the collator of either layout made.
            pad_token_id (`int`): What the model takes for padding.

        Returns:
            `tuple[Tensor, Tensor]`: Of shape `(M, D)` and `(M,)`.
        """

    @abstractmethod
    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """Return the layers that make scores, to be kept in float32 under autocast.

        Args:
            model (`nn.Module`): The model, with or without adapter.
        """
