"""Lines about a world of comparable entities, as right as the options say.

    which is up_size , E3 or E17 ? E3 <eos>
    which is down_size , E3 or E17 ? E3 <eos> honestly

The first line answers. In the second a remark follows the answer's end: `certainly` after a right one, `honestly` after
a wrong one. So a model meets judgement at the token at which a reward model is read.

Shape suffixes: A attributes, E entities, N lines, T words of a line, V words of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2s_rm.corpora._base import EOS, PAD, UNK, Lines, Predict, share_problems
from w2s_rm.errors import OptionError, nearest
from w2s_rm.testbed.world import ATTRIBUTES, RIGHT, WRONG, World, world_problems

VERSION = 1
"""Raise it when the same options give other lines."""
QUESTION_WORDS = ("which", "is", ",", "or", "?")
# The same question in words that the task never uses, for corpora in which the task's wording does not occur.
OTHER_WORDS = ("tell", "me", "of", "and", ":")
_ERROR_KINDS = ("random", "systematic")
LINE_LENGTH = 11
# Of `which is up_size , E3 or E17 ? E3 <eos> certainly`: behind the answer stands its end, before the remark.
FIRST, SECOND, ANSWER, JUDGEMENT = 4, 6, 8, 10
"""Columns of a line: the two entities that it asks about, and what is to be predicted."""


@dataclass(frozen=True)
class Facts:
    """An endless text about a world, of which some facts may be missing or wrong.

    A fact is unknown when the corpus does not tell the rank of one of its entities. With `random` errors an unknown
    fact is answered by a coin, anew in each line. With `systematic` errors some entities stand upside down on the scale
    throughout, so many that as many answers are wrong as a coin would get wrong: half of the unknown share.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same for the task and all models.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same for the task and all models.
        facts_known (`float`, *optional*, defaults to `1.0`): Share of the facts that the corpus tells truly.
        error_kind (`"random"` or `"systematic"`, *optional*, defaults to `"random"`): Kind of the errors in the rest.
        task_wording (`float`, *optional*, defaults to `1.0`): Share of lines in the wording of the task's questions;
            the others say the same in other words. With 1 the task's form is represented in what the model reads, with
            a few hundredths it is rare, with 0 it is new to the model.
        judged_fraction (`float`, *optional*, defaults to `0.6`): Share of lines that judge an answer.

    Raises:
        OptionError: A share outside [0, 1], an unknown kind of errors, or a world that cannot be; all at once.
    """

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    facts_known: float = 1.0
    error_kind: Literal["random", "systematic"] = "random"
    task_wording: float = 1.0
    judged_fraction: float = 0.6

    def __post_init__(self) -> None:
        shares = {
            "facts_known": self.facts_known,
            "task_wording": self.task_wording,
            "judged_fraction": self.judged_fraction,
        }
        problems = share_problems(shares)
        if self.error_kind not in _ERROR_KINDS:
            problems["error_kind"] = f"is {self.error_kind!r}; {nearest(self.error_kind, _ERROR_KINDS)}"
        problems |= world_problems(self.world_seed, self.n_entities, self.n_attributes)
        if problems:
            raise OptionError("corpus facts", problems)

    @cached_property
    def world(self) -> World:
        """The truth."""
        return World(seed=self.world_seed, n_entities=self.n_entities, n_attributes=self.n_attributes)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The vocabulary: the position of a word is its token id."""
        attributes = ATTRIBUTES[: self.n_attributes]
        relations = [f"{direction}_{name}" for name in attributes for direction in ("up", "down")]
        other = [f"{direction}_{name}" for name in attributes for direction in ("more", "less")]
        entities = [f"E{entity}" for entity in range(self.n_entities)]
        fixed = (PAD, EOS, UNK, RIGHT, WRONG, *QUESTION_WORDS, *OTHER_WORDS)
        # In this order, for ids are computed: a relation is the first one, plus 2 for each attribute, plus 1 for
        # downwards; an entity is `E0` plus its number. What is added stands behind them.
        return (*fixed, *relations, *other, *entities)

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """Word to token id."""
        return {word: position for position, word in enumerate(self.words)}

    @property
    def line_length(self) -> int:
        """Words of a line that judges."""
        return LINE_LENGTH

    @cached_property
    def doubtful_AE(self) -> NDArray[np.bool_]:
        """Entities whose rank the corpus does not tell (`random`) or tells upside down (`systematic`)."""
        shape = self.world.ranks_AE.shape
        # A stream of its own beside that of the ranks.
        order = np.random.default_rng([self.world_seed, 2]).permutation(self.world.ranks_AE.size)
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

    def content_version(self) -> str:
        """Version of this module: the options say the rest."""
        return f"facts-{VERSION}"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines of the corpus; the word to predict is the answer, or the judgement of one.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        attribute_N = rng.integers(self.n_attributes, size=n_lines)
        down_N = rng.integers(2, size=n_lines)
        first_N = rng.integers(self.n_entities, size=n_lines)
        # Any entity but the first, each with the same chance, without drawing again.
        second_N = (first_N + rng.integers(1, self.n_entities, size=n_lines)) % self.n_entities
        judged_N = rng.random(n_lines) < self.judged_fraction
        # Who is not judged answers as the text knows it; of judged answers half are wrong.
        right_N = ~judged_N | (rng.random(n_lines) < 0.5)
        first_wins_N = self._first_wins(attribute_N, down_N, first_N, second_N, rng)
        # The first where it wins and the answer is to be right, or where it loses and is to be wrong.
        answer_N = np.where(first_wins_N == right_N, first_N, second_N)
        ids = self.word_ids
        ids_NT = self.questions(attribute_N, down_N, first_N, second_N, self._in_task_wording(n_lines, rng))
        ids_NT[:, ANSWER] = ids["E0"] + answer_N
        ids_NT[:, ANSWER + 1] = ids[EOS]
        ids_NT[:, JUDGEMENT] = np.where(judged_N, np.where(right_N, ids[RIGHT], ids[WRONG]), ids[PAD])
        return _lines(ids_NT, np.where(judged_N, JUDGEMENT, ANSWER))

    def measure(self, predict: Predict) -> dict[str, float]:
        """Ask about every fact in the wording of most lines, both ways round and in both directions.

        Args:
            predict (`Predict`): Gives the logits `(N, V)` of the answer or judgement in lines.

        Returns:
            `dict[str, float]`: `accuracy_answers` and `accuracy_judgements` (share of all facts answered and judged
            right), and `known` (the latter above chance, doubled: the share of facts that the model knows rather than
            guesses).
        """
        attribute_N, low_N, high_N = np.array(list(self.world.facts())).T
        answered, judged = [], []
        # A model may prefer the entity that is named first, or only know one direction: of a fact all four are asked.
        for down, high_first in np.ndindex(2, 2):
            first_N, second_N = (high_N, low_N) if high_first else (low_N, high_N)
            right_N, wrong_N = (low_N, high_N) if down else (high_N, low_N)
            usual_N = np.full(len(attribute_N), self.task_wording >= 0.5)
            ids_NT = self.questions(attribute_N, np.full_like(attribute_N, down), first_N, second_N, usual_N)
            answered.append(self._prefers_right(predict, ids_NT, right_N, wrong_N))
            judged.append(self._judges_right_higher(predict, ids_NT, right_N, wrong_N))
        judgements = float(np.mean(judged))
        return {
            "accuracy_answers": float(np.mean(answered)),
            "accuracy_judgements": judgements,
            "known": 2 * judgements - 1,
        }

    def questions(
        self,
        attribute_N: NDArray[np.int64],
        down_N: NDArray[np.int64],
        first_N: NDArray[np.int64],
        second_N: NDArray[np.int64],
        task_wording_N: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """Write questions, the rest of each line padding.

        Args:
            attribute_N (`NDArray` of shape `(N,)`): Attribute asked about.
            down_N (`NDArray` of shape `(N,)`): 1 to ask for the lower one.
            first_N (`NDArray` of shape `(N,)`): Entity named first.
            second_N (`NDArray` of shape `(N,)`): Entity named second.
            task_wording_N (`NDArray` of shape `(N,)`): Whether to ask as the task does, or in other words.
        """
        ids = self.word_ids
        first_relation_N = np.where(task_wording_N, ids["up_size"], ids["more_size"])
        ids_NT = np.full((len(first_N), LINE_LENGTH), ids[PAD], dtype=np.int64)
        words_2W = np.array([[ids[word] for word in words] for words in (OTHER_WORDS, QUESTION_WORDS)])
        ids_NT[:, [0, 1, 3, 5, 7]] = words_2W[task_wording_N.astype(np.int64)]
        ids_NT[:, 2] = first_relation_N + 2 * attribute_N + down_N
        ids_NT[:, FIRST], ids_NT[:, SECOND] = ids["E0"] + first_N, ids["E0"] + second_N
        return ids_NT

    def _in_task_wording(self, n_lines: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        # No draw where nothing is left to chance: the other draws of a line stay what they are.
        if self.task_wording in (0, 1):
            return np.full(n_lines, self.task_wording == 1)
        return rng.random(n_lines) < self.task_wording

    def _prefers_right(
        self, predict: Predict, ids_NT: NDArray[np.int64], right_N: NDArray[np.int64], wrong_N: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        answered_NT, row, entity = ids_NT.copy(), np.arange(len(ids_NT)), self.word_ids["E0"]
        # What stands there does not matter: a token is predicted from those to its left.
        answered_NT[:, ANSWER] = entity + right_N
        logits_NV = predict(_lines(answered_NT, ANSWER))
        return logits_NV[row, entity + right_N] > logits_NV[row, entity + wrong_N]

    def _judges_right_higher(
        self, predict: Predict, ids_NT: NDArray[np.int64], right_N: NDArray[np.int64], wrong_N: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        ids, praise = self.word_ids, []
        for answer_N in (right_N, wrong_N):
            judged_NT = ids_NT.copy()
            judged_NT[:, ANSWER] = ids["E0"] + answer_N
            judged_NT[:, ANSWER + 1], judged_NT[:, JUDGEMENT] = ids[EOS], ids[RIGHT]
            logits_NV = predict(_lines(judged_NT, JUDGEMENT))
            # By the difference of the remarks, and compared between the two answers: which remark is the likelier one
            # in general does not count, as in a comparison of rewards.
            praise.append(logits_NV[:, ids[RIGHT]] - logits_NV[:, ids[WRONG]])
        return praise[0] > praise[1]

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
        return np.where(mirrored_AE, self.n_entities - 1.5 - ranks_AE, ranks_AE)

    def _share(self, doubtful_AE: NDArray[np.bool_]) -> float:
        """Share of the facts that are unknown (`random`) or wrong (`systematic`) given the doubtful entities."""
        if self.error_kind == "random":
            hit_AEE = doubtful_AE[:, :, None] | doubtful_AE[:, None, :]
        else:
            believed_AE, ranks_AE = self._believed(doubtful_AE), self.world.ranks_AE
            believed_AEE = believed_AE[:, :, None] > believed_AE[:, None, :]
            hit_AEE = believed_AEE != (ranks_AE[:, :, None] > ranks_AE[:, None, :])
        # Each pair of entities once.
        first, second = np.triu_indices(self.n_entities, k=1)
        return float(hit_AEE[:, first, second].mean())


def _lines(ids_NT: NDArray[np.int64], target_N: NDArray[np.int64] | int) -> Lines:
    predict_NT = np.zeros(ids_NT.shape, dtype=bool)
    predict_NT[np.arange(len(ids_NT)), target_N] = True
    return Lines(ids_NT, predict_NT)
