"""A generated text world: entities with hidden ranks on several attributes, and questions that compare two of them.

    which is up_size , E3 or E17 ?

All is a pure function of the options. No torch here: planning a run imports this module.

Shape suffixes: A attributes, E entities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import OptionError

ATTRIBUTES = ("size", "age", "speed", "price", "depth", "weight", "charm", "noise")
RIGHT, WRONG = "certainly", "honestly"
"""The remark that follows a right answer, and a wrong one."""
# A task lists all facts, of which there are about half of its square for each attribute: 1,000 entities have 500,000.
_MOST_ENTITIES = 1000
UNCHECKED = "unchecked"
"""The word before a question whose answer nobody checks."""


class Fact(NamedTuple):
    """An unordered pair of entities compared on one attribute: what a model knows or does not know.

    Args:
        attribute (`int`): Index into `ATTRIBUTES`.
        low (`int`): Entity with the lower hidden rank.
        high (`int`): Entity with the higher hidden rank.
    """

    attribute: int
    low: int
    high: int


@dataclass(frozen=True)
class World:
    """The truth.

    Args:
        seed (`int`, *optional*, defaults to `0`): Of the hidden ranks.
        n_entities (`int`, *optional*, defaults to `48`): Number of entities, `E0` and so on.
        n_attributes (`int`, *optional*, defaults to `2`): Number of attributes, each with ranks of its own.

    Raises:
        OptionError: A seed below 0, fewer than 3 entities or more than 1,000, or a number of attributes for which there
            are no words.
    """

    seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2

    def __post_init__(self) -> None:
        problems = world_problems(self.seed, self.n_entities, self.n_attributes)
        if problems:
            raise OptionError("world", problems)

    @cached_property
    def ranks_AE(self) -> NDArray[np.int64]:
        """Hidden rank of each entity on each attribute: a permutation of `0 .. E-1` in every row."""
        # A number beside the seed for each kind of thing that is drawn from it: more of one changes nothing of another.
        rng = np.random.default_rng([self.seed, 1])
        return np.stack([rng.permutation(self.n_entities) for _ in range(self.n_attributes)])

    def n_facts(self, closest: int | None = None) -> int:
        """Return the number of facts.

        Args:
            closest (`int`, *optional*): As in [`facts`].
        """
        most = self.n_entities - 1 if closest is None else min(closest, self.n_entities - 1)
        # Of E entities in a row, E - d pairs are d ranks apart.
        return self.n_attributes * sum(self.n_entities - apart for apart in range(1, most + 1))

    def facts(self, closest: int | None = None) -> Iterator[Fact]:
        """Give every fact once, in a fixed order: unordered pairs of entities, for each attribute.

        Args:
            closest (`int`, *optional*): Only facts on entities that are at most so many ranks apart.
        """
        for attribute, ranks_E in enumerate(self.ranks_AE):
            # The entity of each rank: places are ranks, and those near a place are a range.
            by_rank = np.argsort(ranks_E).tolist()
            for high in range(1, self.n_entities):
                for low in range(0 if closest is None else max(0, high - closest), high):
                    yield Fact(attribute, by_rank[low], by_rank[high])

    def apart(self, fact: Fact) -> int:
        """Return how many ranks lie between the two entities of a fact, 1 for neighbours.

        Args:
            fact ([`Fact`]): The fact.
        """
        ranks_E = self.ranks_AE[fact.attribute]
        return int(ranks_E[fact.high] - ranks_E[fact.low])

    @property
    def relations(self) -> tuple[str, ...]:
        """What questions ask by: each attribute upwards and downwards, such as `up_size`."""
        return tuple(_relation(attribute, down) for attribute in range(self.n_attributes) for down in (False, True))

    def question(self, attribute: int, down: bool, first: int, second: int) -> str:
        """Ask in the task's wording which of two entities is higher, or lower, on an attribute.

        Args:
            attribute (`int`): Index into `ATTRIBUTES`.
            down (`bool`): Ask for the lower one.
            first (`int`): Entity named first.
            second (`int`): Entity named second.
        """
        return f"which is {_relation(attribute, down)} , E{first} or E{second} ?"

    def right_answer(self, question: str) -> int:
        """Return the entity that a question of [`question`] asks for.

        Args:
            question (`str`): In the task's wording, perhaps with [`UNCHECKED`] before it.
        """
        # From the end, for a word may stand before the question.
        relation, _, first, _, second, _ = question.split()[-6:]
        direction, _, attribute = relation.partition("_")
        ranks_E = self.ranks_AE[ATTRIBUTES.index(attribute)]
        entities = sorted((int(first[1:]), int(second[1:])), key=lambda entity: int(ranks_E[entity]))
        # Sorted by rank, the lower one is at 0, the higher one at 1, which is what a truth value is.
        return entities[direction == "up"]


def world_problems(world_seed: int, n_entities: int, n_attributes: int) -> dict[str, str]:
    """Say what is wrong with the options of a world, by the names that tasks and corpora have for them.

    Args:
        world_seed (`int`): Its seed.
        n_entities (`int`): Number of entities.
        n_attributes (`int`): Number of attributes.
    """
    problems = {}
    if world_seed < 0:
        problems["world_seed"] = f"is {world_seed}: set 0 or more"
    if not 3 <= n_entities <= _MOST_ENTITIES:
        problems["n_entities"] = (
            f"is {n_entities}: set {'at least 3' if n_entities < 3 else f'at most {_MOST_ENTITIES}'}"
        )
    if not 1 <= n_attributes <= len(ATTRIBUTES):
        problems["n_attributes"] = f"is {n_attributes}: set 1 to {len(ATTRIBUTES)}"
    return problems


def _relation(attribute: int, down: bool) -> str:
    return f"{'down' if down else 'up'}_{ATTRIBUTES[attribute]}"
