"""What a model reads in pretraining: lines about the world, as right as the options say.

Shape suffixes: A attributes, E entities, N lines, T words of a line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.testbed.world import (
    ANSWER,
    EOS,
    JUDGEMENT,
    LINE_LENGTH,
    OTHER_WORDS,
    PAD,
    QUESTION_WORDS,
    RIGHT,
    WRONG,
    ErrorKind,
    Lines,
    World,
)


@dataclass(frozen=True)
class Corpus:
    """An endless text about a world, of which some facts may be missing or wrong.

    A fact is unknown when the corpus does not tell the rank of one of its entities. With `random` errors an unknown
    fact is answered by a coin, anew in each line. With `systematic` errors some entities stand upside down on the scale
    throughout, so many that as many answers are wrong as a coin would get wrong: half of the unknown share.

    Args:
        world (`World`): The truth.
        facts_known (`float`, *optional*, defaults to `1.0`): Share of the facts that the corpus tells truly.
        error_kind (`"random"` or `"systematic"`, *optional*, defaults to `"random"`): Kind of the errors in the rest.
        wording_seen (`bool`, *optional*, defaults to `True`): Whether the wording of the task's questions occurs.
        judged_fraction (`float`, *optional*, defaults to `0.6`): Share of lines that judge an answer.

    Raises:
        ConfigError: A share outside [0, 1], or an unknown kind of errors.
    """

    world: World = field(default_factory=World)
    facts_known: float = 1.0
    error_kind: ErrorKind = "random"
    wording_seen: bool = True
    judged_fraction: float = 0.6

    def __post_init__(self) -> None:
        shares = {"facts_known": self.facts_known, "judged_fraction": self.judged_fraction}
        problems = [
            f"{name} is {share}: set a share from 0 to 1" for name, share in shares.items() if not 0 <= share <= 1
        ]
        if self.error_kind not in ("random", "systematic"):
            problems.append(f"error_kind is {self.error_kind!r}: set random or systematic")
        if problems:
            raise ConfigError(join_problems("the options of the corpus are wrong:", problems))

    @cached_property
    def doubtful_AE(self) -> NDArray[np.bool_]:
        """Entities whose rank the corpus does not tell (`random`) or tells upside down (`systematic`)."""
        shape = self.world.ranks_AE.shape
        order = np.random.default_rng([self.world.seed, 2]).permutation(self.world.ranks_AE.size)
        unknown = 1 - self.facts_known
        goal = unknown if self.error_kind == "random" else unknown / 2
        doubtful, miss = np.zeros(shape, dtype=bool), goal
        # One entity at a time, in an order of its own, as long as the share comes nearer to the goal.
        for entity in order:
            more = doubtful.copy()
            more.flat[entity] = True
            if abs(self._share(more) - goal) > miss:
                break
            doubtful, miss = more, abs(self._share(more) - goal)
        return doubtful

    @cached_property
    def believed_AE(self) -> NDArray[np.float64]:
        """The ranks that the corpus is consistent with where it is not answered by a coin."""
        return (
            self._believed(self.doubtful_AE) if self.error_kind == "systematic" else self.world.ranks_AE.astype(float)
        )

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines of the corpus.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        n_entities = self.world.n_entities
        attribute_N = rng.integers(self.world.n_attributes, size=n_lines)
        down_N = rng.integers(2, size=n_lines)
        first_N = rng.integers(n_entities, size=n_lines)
        second_N = (first_N + rng.integers(1, n_entities, size=n_lines)) % n_entities
        judged_N = rng.random(n_lines) < self.judged_fraction
        right_N = ~judged_N | (rng.random(n_lines) < 0.5)
        first_wins_N = self._first_wins(attribute_N, down_N, first_N, second_N, rng)
        answer_N = np.where(first_wins_N == right_N, first_N, second_N)
        ids_NT = self.questions(attribute_N, down_N, first_N, second_N)
        self._write_answers(ids_NT, answer_N, judged_N, right_N)
        return Lines(ids_NT, np.where(judged_N, JUDGEMENT, ANSWER))

    def questions(
        self,
        attribute_N: NDArray[np.int64],
        down_N: NDArray[np.int64],
        first_N: NDArray[np.int64],
        second_N: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Write questions in the corpus' wording, the rest of each line padding.

        Args:
            attribute_N (`NDArray` of shape `(N,)`): Attribute asked about.
            down_N (`NDArray` of shape `(N,)`): 1 to ask for the lower one.
            first_N (`NDArray` of shape `(N,)`): Entity named first.
            second_N (`NDArray` of shape `(N,)`): Entity named second.
        """
        ids = self.world.word_ids
        words = QUESTION_WORDS if self.wording_seen else OTHER_WORDS
        relation = ids["up_size" if self.wording_seen else "more_size"] + 2 * attribute_N + down_N
        ids_NT = np.full((len(first_N), LINE_LENGTH), ids[PAD], dtype=np.int64)
        ids_NT[:, [0, 1, 3, 5, 7]] = [ids[word] for word in words]
        ids_NT[:, 2], ids_NT[:, 4], ids_NT[:, 6] = relation, ids["E0"] + first_N, ids["E0"] + second_N
        return ids_NT

    def _write_answers(
        self,
        ids_NT: NDArray[np.int64],
        answer_N: NDArray[np.int64],
        judged_N: NDArray[np.bool_],
        right_N: NDArray[np.bool_],
    ) -> None:
        ids = self.world.word_ids
        ids_NT[:, ANSWER] = ids["E0"] + answer_N
        ids_NT[:, ANSWER + 1] = ids[EOS]
        ids_NT[:, JUDGEMENT] = np.where(judged_N, np.where(right_N, ids[RIGHT], ids[WRONG]), ids[PAD])

    def _first_wins(
        self,
        attribute_N: NDArray[np.int64],
        down_N: NDArray[np.int64],
        first_N: NDArray[np.int64],
        second_N: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.bool_]:
        believed_AE, doubtful_AE = self.believed_AE, self.doubtful_AE
        wins_N = (believed_AE[attribute_N, first_N] > believed_AE[attribute_N, second_N]) != (down_N == 1)
        if self.error_kind == "systematic":
            return wins_N
        unknown_N = doubtful_AE[attribute_N, first_N] | doubtful_AE[attribute_N, second_N]
        return np.where(unknown_N, rng.random(len(first_N)) < 0.5, wins_N)

    def _believed(self, mirrored_AE: NDArray[np.bool_]) -> NDArray[np.float64]:
        ranks_AE = self.world.ranks_AE
        # The half keeps a mirrored entity from sharing its rank with one that is in place.
        return np.where(mirrored_AE, self.world.n_entities - 1.5 - ranks_AE, ranks_AE)

    def _share(self, doubtful_AE: NDArray[np.bool_]) -> float:
        """Share of the facts that are unknown (`random`) or wrong (`systematic`) given the doubtful entities."""
        if self.error_kind == "random":
            hit_AEE = doubtful_AE[:, :, None] | doubtful_AE[:, None, :]
        else:
            believed_AE, ranks_AE = self._believed(doubtful_AE), self.world.ranks_AE
            believed_AEE = believed_AE[:, :, None] > believed_AE[:, None, :]
            hit_AEE = believed_AEE != (ranks_AE[:, :, None] > ranks_AE[:, None, :])
        first, second = np.triu_indices(self.world.n_entities, k=1)
        return float(hit_AEE[:, first, second].mean())
