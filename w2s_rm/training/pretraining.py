"""A small language model pretrained on a corpus: the options and what they mean. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from w2s_rm import catalog, options
from w2s_rm.corpora import Corpus
from w2s_rm.errors import OptionError

ALGORITHM_VERSION = 1
"""Enters the stage hash: raise it when the same options give another model."""
BY_SEED = "by_seed"
"""In place of a seed: that of each repetition, which so pretrains a model of its own."""


@dataclass(frozen=True)
class Pretraining:
    """How a small model is pretrained from random weights.

    Args:
        corpus (`Mapping[str, Any]`, *optional*, defaults to `facts`): What the model reads: `name` of a
            file in `w2s_rm/corpora`, and options of its class.
        hidden_size (`int`, *optional*, defaults to `64`): Width of the model.
        num_hidden_layers (`int`, *optional*, defaults to `2`): Number of layers.
        num_attention_heads (`int`, *optional*, defaults to `4`): Number of attention heads.
        intermediate_size (`int` or `None`, *optional*): Width of the feed-forward layers, `3 * hidden_size` if `None`.
        steps (`int`, *optional*, defaults to `800`): Optimizer steps.
        batch_size (`int`, *optional*, defaults to `256`): Lines in a step.
        learning_rate (`float`, *optional*, defaults to `3e-3`): Peak of the one-cycle schedule.
        seed (`int`, *optional*, defaults to `0`): Of the weights and of the lines drawn.
        bf16 (`bool`, *optional*, defaults to `False`): Multiply matrices in bfloat16; weights stay in float32.

    Raises:
        OptionError: Options are out of range. The corpus is checked when it is built.
    """

    corpus: Mapping[str, Any] = field(default_factory=lambda: {"name": "facts"}, metadata={"component": "corpora"})
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int | None = None
    steps: int = 800
    batch_size: int = 256
    learning_rate: float = 3e-3
    seed: int = 0
    bf16: bool = False

    def __post_init__(self) -> None:
        counts = ("hidden_size", "num_hidden_layers", "num_attention_heads", "steps", "batch_size")
        values = {name: vars(self)[name] for name in (*counts, "learning_rate")}
        # Written this way round, NaN is refused as well.
        problems = {name: f"is {value}: set more than 0" for name, value in values.items() if not value > 0}
        # Rotary positions turn the dimensions of a head in pairs.
        if not problems and self.hidden_size % (2 * self.num_attention_heads):
            problems["hidden_size"] = f"is {self.hidden_size}: set a multiple of twice num_attention_heads"
        # As many as a recipe's own seeds, with which `by_seed` replaces it.
        if not 0 <= self.seed < 2**32:
            problems["seed"] = f"is {self.seed}: set 0 or more, below 2**32"
        if problems:
            raise OptionError("pretraining", problems)

    def build_corpus(self) -> Corpus:
        """Make the text that the model reads. Reads no file.

        Raises:
            ConfigError: There is no such corpus, or its options are wrong; the message lists all.
        """
        corpus: Corpus = options.build("corpora", self.corpus)
        return corpus

    def resolved(self) -> dict[str, Any]:
        """All options, those of the corpus too, with defaults filled in; `Pretraining(**resolved)` is the same."""
        corpus: Any = self.build_corpus()
        return {**vars(self), "corpus": {"name": self.corpus["name"], **dataclasses.asdict(corpus)}}

    def identity(self) -> dict[str, Any]:
        """What the weights depend on: the resolved options, with the content of the corpus in place of its `path`.

        Raises:
            DataError: The file of the corpus does not exist.
        """
        resolved = self.resolved()
        corpus = {name: value for name, value in resolved["corpus"].items() if name != "path"}
        identified = {"name": catalog.identity(str(corpus["name"])), "content": self.build_corpus().content_version()}
        return {**resolved, "corpus": {**corpus, **identified}}


def pretrained_by(pretrain: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return options of [`Pretraining`] with the seed that a repetition has.

    Args:
        pretrain (`Mapping`): Some of its fields; `seed` may be `"by_seed"`.
        seed (`int`): The seed of the repetition.
    """
    return {**pretrain, "seed": seed} if pretrain.get("seed") == BY_SEED else dict(pretrain)
