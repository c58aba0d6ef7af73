"""The embedded world's own preference dataset: a question, the right answer and the wrong one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from w2s_rm.errors import ConfigError
from w2s_rm.testbed.world import ATTRIBUTES, World
from w2s_rm.types import Example, Row, content_hash

WORDINGS = 4
"""Each fact is asked upwards and downwards, with either entity named first."""


@dataclass(frozen=True)
class WorldPreference:
    """Questions about an embedded world, each with a right and a wrong answer.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same as in the models' pretraining.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same as in the models' pretraining.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same as in the models' pretraining.
        n_examples (`int` or `None`, *optional*): How many questions, drawn at random; all of them if `None`.

    Raises:
        ConfigError: More examples than the world has questions.
    """

    setting: ClassVar[str] = "reward_modeling"
    example_row: ClassVar[Mapping[str, Any]] = {
        "id": "size-3-17-up-3",
        "fact": "size-3-17",
        "prompt": "which is up_size , E3 or E17 ?",
        "chosen": " E3",
        "rejected": " E17",
    }

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    n_examples: int | None = None

    def __post_init__(self) -> None:
        available = WORDINGS * self.world.n_facts
        if self.n_examples is not None and not 1 <= self.n_examples <= available:
            raise ConfigError(
                f"world_preference: n_examples is {self.n_examples}, the world has {available} questions: "
                "set fewer, or raise n_entities or n_attributes"
            )

    @cached_property
    def world(self) -> World:
        """The world that is asked about."""
        return World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)

    @property
    def has_ground_truth(self) -> bool:
        """Every comparison has a better answer."""
        return True

    @property
    def classes(self) -> None:
        """Responses have no fixed meaning by position."""

    @property
    def balanced(self) -> bool:
        """There are no classes to balance."""
        return False

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        return content_hash("world_preference", 1, asdict(self))

    def rows(self) -> Iterator[Row]:
        """Generate the questions, in a random order that depends on `world_seed` alone."""
        facts = list(self.world.facts())
        order = np.random.default_rng([self.world_seed, 4]).permutation(WORDINGS * len(facts))
        for number, draw in enumerate(itertools.islice(order.tolist(), self.n_examples)):
            fact, wording = divmod(draw, WORDINGS)
            yield Row(f"world_preference row {number}", self._record(*facts[fact], *divmod(wording, 2)))

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example, right answer first; all questions on a fact are one group.

        Args:
            row (`Row`): A record as [`rows`] gives them.
        """
        values = row.values
        return Example(
            id=values["id"],
            group=values["fact"],
            prompt=values["prompt"],
            candidates=(values["chosen"], values["rejected"]),
            gold=0,
        )

    def _record(self, attribute: int, low: int, high: int, down: int, high_first: int) -> dict[str, str]:
        first, second = (high, low) if high_first else (low, high)
        right, wrong = (low, high) if down else (high, low)
        fact = f"{ATTRIBUTES[attribute]}-{min(low, high)}-{max(low, high)}"
        return {
            "id": f"{fact}-{'down' if down else 'up'}-{first}",
            "fact": fact,
            "prompt": self.world.question(attribute, bool(down), first, second),
            "chosen": f" E{right}",
            "rejected": f" E{wrong}",
        }
