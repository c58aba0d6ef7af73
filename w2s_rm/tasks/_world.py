"""What the tasks of the world of facts have in common: its options, and drawing wordings of its facts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import OptionError, nearest
from w2s_rm.testbed.world import UNCHECKED, Fact, World, world_problems
from w2s_rm.types import content_hash

# Options that came later: where they are not used, the content is what it was.
_LATER = {"unchecked": 0.0, "asks": None}


class Draw(NamedTuple):
    """What an example asks.

    Args:
        place (`str`): Names it in messages.
        fact ([`~w2s_rm.testbed.world.Fact`]): The fact.
        wording (`int`): Its wording.
        errs (`bool`): Whether the recorded answer is the wrong one.
        before (`str`): What stands before the question.
    """

    place: str
    fact: Fact
    wording: int
    errs: bool
    before: str


@dataclass(frozen=True)
class WorldTask:
    """Questions about an embedded world.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same as in the models' pretraining.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same as in the models' pretraining.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same as in the models' pretraining.
        n_examples (`int` or `None`, *optional*): How many, drawn at random; all of them if `None`.
        noise (`float`, *optional*, defaults to `0.0`): Share of examples whose recorded answer is the wrong one, below
            0.5, in all splits alike: what people say of a comparison is not always what is so. Each example errs by
            itself.
        noise_kind (`"even"` or `"close"`, *optional*, defaults to `"even"`): Whether all examples err with the same
            chance, or those the more often whose entities are close: with the chance `1 / (1 + exp(d / t))` at `d`
            ranks apart, as in the model of Bradley and Terry with ranks as utilities, and `t` such that the mean is
            `noise`.
        closest (`int` or `None`, *optional*): Only ask about entities that are at most so many ranks apart. The fewer,
            the harder: a model that knows ranks roughly cannot tell neighbours.
        unchecked (`float`, *optional*, defaults to `0.0`): Share of the questions, in all splits alike, before which
            stands the word `unchecked`: what it says to a model, its corpus decides
            ([`~w2s_rm.corpora.unchecked.Unchecked`]).
        asks (`str` or `None`, *optional*): Only ask by this relation, such as `up_age`; by all of them if `None`.

    Raises:
        OptionError: More examples than the world has, an option out of range, or one that does nothing without another.
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
    noise: float = 0.0
    noise_kind: Literal["even", "close"] = "even"
    closest: int | None = None
    unchecked: float = 0.0
    asks: str | None = None

    def __post_init__(self) -> None:
        """Check the number of examples and the ranges of options."""
        wrong = world_problems(self.world_seed, self.n_entities, self.n_attributes)
        if wrong:
            # Of a world that cannot be, nothing else can be asked.
            raise OptionError(self.name, wrong)
        if not 0 <= self.noise < 0.5:
            wrong["noise"] = f"is {self.noise}; use a share from 0 to below 0.5"
        if self.noise_kind not in ("even", "close"):
            wrong["noise_kind"] = f"is {self.noise_kind!r}; {nearest(self.noise_kind, ('even', 'close'))}"
        if self.closest is not None and self.closest < 1:
            wrong["closest"] = f"is {self.closest}; use 1 (neighbours) or more"
        if self.closest is not None and self.closest >= self.n_entities:
            most = self.n_entities - 1
            wrong["closest"] = (
                f"is {self.closest}, and {self.n_entities} entities are {most} ranks apart at most: use 1 to {most}"
            )
        if not 0 <= self.unchecked <= 1:
            wrong["unchecked"] = f"is {self.unchecked}; use a share from 0 to 1"
        if self.asks is not None and self.asks not in self.world.relations:
            wrong["asks"] = f"is {self.asks!r}; {nearest(str(self.asks), self.world.relations)}"
        if wrong:
            raise OptionError(self.name, wrong)
        available = self.wordings * self.world.n_facts(self.closest)
        if self.asks is not None:
            # Each relation has the same number of wordings.
            available //= len(self.world.relations)
        if self.n_examples is not None and not 1 <= self.n_examples <= available:
            text = (
                f"is {self.n_examples}, the world has {available} {self.unit}: set fewer, raise n_entities, "
                "n_attributes or closest, or leave out asks"
            )
            raise OptionError(self.name, {"n_examples": text})

    @cached_property
    def world(self) -> World:
        """The world that is asked about."""
        return World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        given = {name: value for name, value in asdict(self).items() if value != _LATER.get(name, ...)}
        # The number counts versions of the generator: to be raised when the same options come to mean other questions.
        return content_hash(self.name, 2, given)

    def draws(self) -> Iterator[Draw]:
        """Draw the examples, in a random order that depends on `world_seed` alone.

        Whether a recorded answer is wrong, or a question unchecked, does not depend on how many there are.
        """
        facts = list(self.world.facts(self.closest))
        count = self.wordings * len(facts)
        order = np.random.default_rng([self.world_seed, self.stream]).permutation(count)
        # A stream of its own: with other noise the order stays, and more noise adds to the errors of less.
        luck = np.random.default_rng([self.world_seed, self.stream, 1]).random(count)
        unseen = np.random.default_rng([self.world_seed, self.stream, 2]).random(count) < self.unchecked
        chances = self._chances(facts)
        asked = (draw for draw in order.tolist() if self._is_asked(facts[draw // self.wordings], draw % self.wordings))
        for number, draw in enumerate(itertools.islice(asked, self.n_examples)):
            place, wording = divmod(draw, self.wordings)
            # By the number of the question and not by its place in the order: to ask for fewer of them changes none of
            # the others.
            errs, before = bool(luck[draw] < chances[place]), f"{UNCHECKED} " if unseen[draw] else ""
            yield Draw(f"{self.name} row {number}", facts[place], wording, errs, before)

    def _is_asked(self, fact: Fact, wording: int) -> bool:
        # The first half of the wordings of a fact asks upwards.
        down = wording >= self.wordings // 2
        return self.asks is None or self.asks == self.world.relations[2 * fact.attribute + down]

    def _chances(self, facts: Sequence[Fact]) -> NDArray[np.float64]:
        """How probable a wrong record is for each fact."""
        if self.noise == 0 or self.noise_kind == "even":
            return np.full(len(facts), self.noise)
        apart = np.array([self.world.apart(fact) for fact in facts], dtype=np.float64)
        # The mean grows with t, from 0 towards a half.
        low, high = 1e-3, 1e6
        for _ in range(200):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if float(_errs(apart, middle).mean()) < self.noise else (low, middle)
        return _errs(apart, high)


def _errs(apart: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    # Beyond 709 the exponential overflows; at 700 the chance is as good as 0.
    return 1 / (1 + np.exp(np.minimum(apart / t, 700)))
