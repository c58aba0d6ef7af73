"""A small language model pretrained on a corpus of the world: the options and what they mean. No torch at import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.testbed.corpus import Corpus
from w2s_rm.testbed.world import ErrorKind, World

ALGORITHM_VERSION = 1
"""Enters the stage hash: raise it when the same options give another model."""


@dataclass(frozen=True)
class Pretraining:
    """How a model of the family is pretrained.

    Args:
        hidden_size (`int`, *optional*, defaults to `64`): Width of the model.
        num_hidden_layers (`int`, *optional*, defaults to `2`): Number of layers.
        num_attention_heads (`int`, *optional*, defaults to `4`): Number of attention heads.
        intermediate_size (`int` or `None`, *optional*): Width of the feed-forward layers, `3 * hidden_size` if `None`.
        steps (`int`, *optional*, defaults to `800`): Optimizer steps.
        batch_size (`int`, *optional*, defaults to `256`): Lines in a step.
        learning_rate (`float`, *optional*, defaults to `3e-3`): Peak of the one-cycle schedule.
        seed (`int`, *optional*, defaults to `0`): Of the weights and of the lines drawn.
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same for the task and all models.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same for the task and all models.
        facts_known (`float`, *optional*, defaults to `1.0`): Share of the facts that the corpus tells; see [`Corpus`].
        error_kind (`"random"` or `"systematic"`, *optional*, defaults to `"random"`): See [`Corpus`].
        wording_seen (`bool`, *optional*, defaults to `True`): Whether the task's wording occurs in the corpus.
        judged_fraction (`float`, *optional*, defaults to `0.6`): Share of lines that judge an answer.

    Raises:
        ConfigError: An option is out of range; the message lists all of them.
    """

    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int | None = None
    steps: int = 800
    batch_size: int = 256
    learning_rate: float = 3e-3
    seed: int = 0
    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    facts_known: float = 1.0
    error_kind: ErrorKind = "random"
    wording_seen: bool = True
    judged_fraction: float = 0.6

    def __post_init__(self) -> None:
        counts = ("hidden_size", "num_hidden_layers", "num_attention_heads", "steps", "batch_size")
        values = {name: vars(self)[name] for name in (*counts, "learning_rate")}
        problems = [f"{name} is {value}: set more than 0" for name, value in values.items() if not value > 0]
        if not problems and self.hidden_size % (2 * self.num_attention_heads):
            problems.append(f"hidden_size is {self.hidden_size}: set a multiple of twice num_attention_heads")
        if problems:
            raise ConfigError(join_problems("the options of pretraining are wrong:", problems))
        _ = self.corpus

    @property
    def corpus(self) -> Corpus:
        """The text that the model reads."""
        world = World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)
        return Corpus(world, self.facts_known, self.error_kind, self.wording_seen, self.judged_fraction)


def pretrain(config: Pretraining, output_dir: Path, progress: bool) -> dict[str, float]:
    """Pretrain a model and write it as a plain folder of weights, config and tokenizer.

    Args:
        config (`Pretraining`): The options.
        output_dir (`Path`): Where to write the folder; made if missing.
        progress (`bool`): Show a progress bar.

    Returns:
        `dict[str, float]`: `loss` (mean over the last tenth of the steps, nats), `accuracy_answers` and
        `accuracy_judgements` (share of all facts answered and judged right, in the corpus' wording), `known` (the
        latter above chance, doubled: the share of facts that it knows rather than guesses), `parameters` and `seconds`.
    """
    from w2s_rm.testbed.language_model import train_language_model

    return train_language_model(config, output_dir, progress)
