"""Derivations in the world of facts, some with a mistake and judged: what a model of steps reads before it is trained.

    which is up_size : E3 , E17 , E9 ? E17 or E3 ? E17 <eos> E17 or E9 ? E9 <eos>
    which is up_size : E3 , E17 , E9 ? E17 or E3 ? E3 <eos> honestly

Lines of the first kind are right to their end, and every name is predicted. The second kind stops behind some step, and
a remark follows: `certainly` as long as there is no mistake, `honestly` from the first one on.

Shape suffixes: N lines, C entities of a problem, M = C - 1 steps, T words of a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2s_rm.corpora._base import EOS, PAD, Lines, Predict, share_problems
from w2s_rm.corpora.facts import Facts
from w2s_rm.errors import OptionError
from w2s_rm.testbed.chains import Derivations, derive
from w2s_rm.testbed.world import RIGHT, WRONG, world_problems

VERSION = 1
"""Raise it when the same options give other lines."""
STEP = 6
"""Words of a step: `E17 or E3 ? E17 <eos>`."""
# The standard error of a share among so many is 1.1 points at most.
_MEASURED = 2000


@dataclass(frozen=True)
class Chains:
    """An endless text of derivations.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same for the task and all models.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same for the task and all models.
        n_steps (`int`, *optional*, defaults to `4`): Steps of a derivation, which compares one entity more.
        judged_fraction (`float`, *optional*, defaults to `0.8`): Share of lines that are judged.

    Raises:
        OptionError: A share outside [0, 1], no steps or more than there are entities, or a world that cannot be.
    """

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    n_steps: int = 4
    judged_fraction: float = 0.8

    def __post_init__(self) -> None:
        """Check the options."""
        problems = share_problems({"judged_fraction": self.judged_fraction})
        problems |= world_problems(self.world_seed, self.n_entities, self.n_attributes)
        if "n_entities" not in problems and not 1 <= self.n_steps < self.n_entities:
            problems["n_steps"] = f"is {self.n_steps}: set 1 to {self.n_entities - 1}, one less than entities"
        if problems:
            raise OptionError("corpus chains", problems)

    @cached_property
    def facts(self) -> Facts:
        """The corpus of single facts, whose words these are."""
        return Facts(self.world_seed, self.n_entities, self.n_attributes)

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary, that of the corpus of facts: the position of a word is its token id."""
        return self.facts.words

    @property
    def line_length(self) -> int:
        """Words of a line that judges a whole derivation."""
        return self._head + STEP * self.n_steps + 1

    def content_version(self) -> str:
        """Version of this module and of the facts."""
        return f"chains-{VERSION}-{self.facts.content_version()}"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines of the corpus.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        judged_N = rng.random(n_lines) < self.judged_fraction
        # More often early than late: to judge one step comes before to judge several.
        end_N = 1 + (self.n_steps * rng.random(n_lines) ** 2).astype(np.int64)
        # Half of the judged lines hold a mistake, somewhere in what is shown; a place behind the last step is none.
        right_N = ~judged_N | (rng.random(n_lines) < 0.5)
        mistake_N = np.where(right_N, self.n_steps, (rng.random(n_lines) * end_N).astype(np.int64))
        return self._lines(judged_N, end_N, mistake_N, rng)

    def measure(self, predict: Predict) -> dict[str, float]:
        """Judge whole derivations, half of them with a mistake.

        Args:
            predict (`Predict`): Gives the logits of the tokens to predict.

        Returns:
            `dict[str, float]`: `accuracy_judgements`: share of derivations after which the right remark is the more
            likely one.
        """
        rng, whole_N = np.random.default_rng([self.world_seed, 4]), np.full(_MEASURED, self.n_steps)
        mistake_N = rng.integers(self.n_steps, size=_MEASURED)
        mistake_N[::2] = self.n_steps
        logits_NV, ids = predict(self._lines(whole_N > 0, whole_N, mistake_N, rng)), self.facts.word_ids
        praised_N = logits_NV[:, ids[RIGHT]] > logits_NV[:, ids[WRONG]]
        return {"accuracy_judgements": float((praised_N == (mistake_N == self.n_steps)).mean())}

    @property
    def _head(self) -> int:
        """Words of the problem: which is, the relation, a colon, the entities with commas, a question mark."""
        return 5 + 2 * self.n_steps + 1

    def _lines(
        self,
        judged_N: NDArray[np.bool_],
        end_N: NDArray[np.int64],
        mistake_N: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Lines:
        """Draw problems and orders of comparison, and write them with these mistakes."""
        n = len(judged_N)
        attribute_N, down_N = rng.integers(self.n_attributes, size=n), rng.integers(2, size=n)
        # The first few of a random order, for every line.
        order_NC = rng.random((n, self.n_entities)).argsort(axis=1)[:, : self.n_steps + 1]
        ranks_NC = self.facts.world.ranks_AE[attribute_N[:, None], order_NC].astype(np.float64)
        derived = derive(order_NC, np.where(down_N[:, None] == 1, -ranks_NC, ranks_NC), mistake_N)
        ids_NT = self._write(2 * attribute_N + down_N, order_NC, derived)
        return self._cut(ids_NT, judged_N, end_N, end_N <= mistake_N)

    def _write(
        self, relation_N: NDArray[np.int64], order_NC: NDArray[np.int64], derived: Derivations
    ) -> NDArray[np.int64]:
        """Whole derivations, with a place for the remark."""
        ids, head = self.facts.word_ids, self._head
        ids_NT = np.full((len(relation_N), self.line_length), ids[PAD], dtype=np.int64)
        ids_NT[:, [0, 1, 3, head - 1]] = [ids["which"], ids["is"], ids[":"], ids["?"]]
        # Relations stand in the vocabulary by attribute, upwards before downwards, and entities by number: ids are
        # sums.
        ids_NT[:, 2] = ids["up_size"] + relation_N
        # Sorted, so that neither ranks nor the order of comparison show in how they are named.
        ids_NT[:, 4 : head - 1 : 2] = ids["E0"] + np.sort(order_NC, axis=1)
        ids_NT[:, 5 : head - 1 : 2] = ids[","]
        for place, values in enumerate((derived.best_NM, None, derived.next_NM, None, derived.named_NM, None)):
            columns = slice(head + place, head + STEP * self.n_steps, STEP)
            ids_NT[:, columns] = (
                ids[(None, "or", None, "?", None, EOS)[place] or PAD] if values is None else ids["E0"] + values
            )
        return ids_NT

    def _cut(
        self,
        ids_NT: NDArray[np.int64],
        judged_N: NDArray[np.bool_],
        end_N: NDArray[np.int64],
        right_N: NDArray[np.bool_],
    ) -> Lines:
        """Cut lines that are judged behind a step, and put the remark there."""
        ids, head = self.facts.word_ids, self._head
        # A line that is not judged goes on to its end, and its last column, the place for the remark, stays padding.
        at_N = np.where(judged_N, head + STEP * end_N, self.line_length - 1)
        columns_T = np.arange(self.line_length)
        ids_NT = np.where(columns_T < at_N[:, None], ids_NT, ids[PAD])
        rows, remark_N = np.arange(len(ids_NT)), np.where(right_N, ids[RIGHT], ids[WRONG])
        ids_NT[rows, at_N] = np.where(judged_N, remark_N, ids[PAD])
        # Of a step the fifth word is the entity that it names.
        named_T = (columns_T >= head) & ((columns_T - head) % STEP == 4)
        predict_NT = np.where(judged_N[:, None], columns_T == at_N[:, None], named_T & (ids_NT != ids[PAD]))
        return Lines(ids_NT, predict_NT)
