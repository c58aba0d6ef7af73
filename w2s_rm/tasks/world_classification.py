"""The embedded world's own classification task: a question with an answer, which is right or wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from w2s_rm.corpora._base import EOS
from w2s_rm.errors import ConfigError
from w2s_rm.testbed.world import ATTRIBUTES, RIGHT, WRONG, Fact, World
from w2s_rm.types import Example, Row, content_hash

WORDINGS = 8
"""Each fact is asked upwards and downwards, with either entity named first, and answered with either."""


@dataclass(frozen=True)
class WorldClassification:
    """Answers to questions about an embedded world, half of them right.

    The models of the world have read remarks on answers: `certainly` after right ones, `honestly` after wrong ones.
    These are the classes.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same as in the models' pretraining.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same as in the models' pretraining.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same as in the models' pretraining.
        n_examples (`int` or `None`, *optional*): How many answers, drawn at random; all of them if `None`.

    Raises:
        ConfigError: More examples than the world has questions and answers.
    """

    setting: ClassVar[str] = "classification"
    example_row: ClassVar[Mapping[str, Any]] = {
        "id": "size-3-17-up-3-17",
        "fact": "size-3-17",
        "text": "which is up_size , E3 or E17 ? E17 <eos>",
        "right": False,
    }

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    n_examples: int | None = None

    def __post_init__(self) -> None:
        available = WORDINGS * self.world.n_facts
        if self.n_examples is not None and not 1 <= self.n_examples <= available:
            raise ConfigError(
                f"world_classification: n_examples is {self.n_examples}, the world has {available} answers: "
                "set fewer, or raise n_entities or n_attributes"
            )

    @cached_property
    def world(self) -> World:
        """The world that is asked about."""
        return World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)

    @property
    def has_ground_truth(self) -> bool:
        """Every answer is right or wrong."""
        return True

    @property
    def classes(self) -> tuple[str, str]:
        """The remark after a wrong answer, and that after a right one."""
        return f" {WRONG}", f" {RIGHT}"

    @property
    def balanced(self) -> bool:
        """Both classes take the same share of each split."""
        return True

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        return content_hash("world_classification", 1, asdict(self))

    def rows(self) -> Iterator[Row]:
        """Generate the answers, in a random order that depends on `world_seed` alone."""
        facts = list(self.world.facts())
        order = np.random.default_rng([self.world_seed, 5]).permutation(WORDINGS * len(facts))
        for number, draw in enumerate(itertools.islice(order.tolist(), self.n_examples)):
            fact, wording = divmod(draw, WORDINGS)
            yield Row(f"world_classification row {number}", self._record(facts[fact], wording))

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example; all questions on a fact are one group.

        Args:
            row (`Row`): A record as [`rows`] gives them.
        """
        values = row.values
        return Example(values["id"], values["fact"], values["text"], self.classes, int(values["right"]))

    def _record(self, fact: Fact, wording: int) -> dict[str, Any]:
        down, high_first, says_high = (bool(wording >> bit & 1) for bit in (2, 1, 0))
        first, second = (fact.high, fact.low) if high_first else (fact.low, fact.high)
        answer = fact.high if says_high else fact.low
        name = f"{ATTRIBUTES[fact.attribute]}-{min(fact.low, fact.high)}-{max(fact.low, fact.high)}"
        return {
            "id": f"{name}-{'down' if down else 'up'}-{first}-{answer}",
            "fact": name,
            "text": f"{self.world.question(fact.attribute, down, first, second)} E{answer} {EOS}",
            "right": says_high != down,
        }
