"""What the tasks of the world of facts have in common: its options, and drawing wordings of its facts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from w2s_rm.errors import ConfigError
from w2s_rm.testbed.world import Fact, World
from w2s_rm.types import content_hash


@dataclass(frozen=True)
class WorldTask:
    """Questions about an embedded world.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same as in the models' pretraining.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same as in the models' pretraining.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same as in the models' pretraining.
        n_examples (`int` or `None`, *optional*): How many, drawn at random; all of them if `None`.

    Raises:
        ConfigError: More examples than the world has.
    """

    name: ClassVar[str]
    wordings: ClassVar[int]
    """Examples for each fact."""
    unit: ClassVar[str]
    """What an example is called in messages."""
    stream: ClassVar[int]
    """Keeps the order of one task's examples from that of another."""
    has_ground_truth: ClassVar[bool] = True

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    n_examples: int | None = None

    def __post_init__(self) -> None:
        """Check the number of examples."""
        available = self.wordings * self.world.n_facts
        if self.n_examples is not None and not 1 <= self.n_examples <= available:
            raise ConfigError(
                f"{self.name}: n_examples is {self.n_examples}, the world has {available} {self.unit}: "
                "set fewer, or raise n_entities or n_attributes"
            )

    @cached_property
    def world(self) -> World:
        """The world that is asked about."""
        return World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        return content_hash(self.name, 1, asdict(self))

    def draws(self) -> Iterator[tuple[str, Fact, int]]:
        """Place, fact and wording of each example, in a random order that depends on `world_seed` alone."""
        facts = list(self.world.facts())
        order = np.random.default_rng([self.world_seed, self.stream]).permutation(self.wordings * len(facts))
        for number, draw in enumerate(itertools.islice(order.tolist(), self.n_examples)):
            fact, wording = divmod(draw, self.wordings)
            yield f"{self.name} row {number}", facts[fact], wording
