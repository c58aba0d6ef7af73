"""A generated text world: entities with hidden ranks on several attributes, and questions that compare two of them.

    which is up_size , E3 or E17 ? E3 <eos>
    which is down_size , E3 or E17 ? E3 <eos> honestly

The first line answers. In the second a remark follows the answer's end: `certainly` after a right one, `honestly` after
a wrong one. So a model meets judgement at the token at which a reward model is read. All is a pure function of the
options. No torch here: planning a run imports this module.

Shape suffixes: A attributes, E entities, N lines, T words of a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import ConfigError, join_problems

ErrorKind = Literal["random", "systematic"]

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
RIGHT, WRONG = "certainly", "honestly"
QUESTION_WORDS = ("which", "is", ",", "or", "?")
# The same question in words that the task never uses, for corpora in which the task's wording does not occur.
OTHER_WORDS = ("tell", "me", "of", "and", ":")
ATTRIBUTES = ("size", "age", "speed", "price", "depth", "weight", "charm", "noise")
QUESTION_LENGTH = 8
LINE_LENGTH = QUESTION_LENGTH + 3
ANSWER, JUDGEMENT = QUESTION_LENGTH, QUESTION_LENGTH + 2
"""Columns of a line that hold what is to be predicted."""


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


class Lines(NamedTuple):
    """A part of a corpus, as word ids.

    Args:
        ids_NT (`NDArray` of shape `(N, LINE_LENGTH)`): Question, answer, end of text, and a judgement or padding.
        target_N (`NDArray` of shape `(N,)`): Column of the word to predict: the answer, or the judgement of one.
    """

    ids_NT: NDArray[np.int64]
    target_N: NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """The truth, and the words for it.

    Args:
        seed (`int`, *optional*, defaults to `0`): Of the hidden ranks.
        n_entities (`int`, *optional*, defaults to `48`): Number of entities, `E0` and so on.
        n_attributes (`int`, *optional*, defaults to `2`): Number of attributes, each with ranks of its own.

    Raises:
        ConfigError: Fewer than 3 entities, or a number of attributes for which there are no words.
    """

    seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2

    def __post_init__(self) -> None:
        problems = []
        if self.n_entities < 3:
            problems.append(f"n_entities is {self.n_entities}: set at least 3")
        if not 1 <= self.n_attributes <= len(ATTRIBUTES):
            problems.append(f"n_attributes is {self.n_attributes}: set 1 to {len(ATTRIBUTES)}")
        if problems:
            raise ConfigError(join_problems("the options of the world are wrong:", problems))

    @cached_property
    def ranks_AE(self) -> NDArray[np.int64]:
        """Hidden rank of each entity on each attribute: a permutation of `0 .. E-1` in every row."""
        rng = np.random.default_rng([self.seed, 1])
        return np.stack([rng.permutation(self.n_entities) for _ in range(self.n_attributes)])

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The vocabulary: the position of a word is its token id."""
        attributes = ATTRIBUTES[: self.n_attributes]
        relations = [f"{direction}_{name}" for name in attributes for direction in ("up", "down")]
        other = [f"{direction}_{name}" for name in attributes for direction in ("more", "less")]
        entities = [f"E{entity}" for entity in range(self.n_entities)]
        fixed = (PAD, EOS, UNK, RIGHT, WRONG, *QUESTION_WORDS, *OTHER_WORDS)
        return (*fixed, *relations, *other, *entities)

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """Word to token id."""
        return {word: position for position, word in enumerate(self.words)}

    @property
    def n_facts(self) -> int:
        """Number of facts: unordered pairs times attributes."""
        return self.n_attributes * self.n_entities * (self.n_entities - 1) // 2

    def facts(self) -> Iterator[Fact]:
        """Every fact once, in a fixed order."""
        for attribute, ranks_E in enumerate(self.ranks_AE):
            by_rank = np.argsort(ranks_E).tolist()
            for high in range(1, self.n_entities):
                for low in range(high):
                    yield Fact(attribute, by_rank[low], by_rank[high])

    def question(self, attribute: int, down: bool, first: int, second: int) -> str:
        """Ask in the task's wording which of two entities is higher, or lower, on an attribute.

        Args:
            attribute (`int`): Index into `ATTRIBUTES`.
            down (`bool`): Ask for the lower one.
            first (`int`): Entity named first.
            second (`int`): Entity named second.
        """
        relation = f"{'down' if down else 'up'}_{ATTRIBUTES[attribute]}"
        return f"which is {relation} , E{first} or E{second} ?"

    def text(self, ids_T: NDArray[np.int64]) -> str:
        """Write a line of word ids as text, without padding."""
        return " ".join(self.words[word] for word in ids_T if self.words[word] != PAD)
