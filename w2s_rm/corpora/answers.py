"""Questions about the world of facts with answers of mixed quality: what a policy reads before anyone rewards it.

    tell me more_size of E3 and E17 : E3
    which is up_size , E3 or E17 ? E17 <eos>

Lines of the first kind tell a fact as it is. The second kind asks in the wording of the tasks, and a share of its
answers is wrong, in no pattern: a model learns to answer right about that often when it samples, although it knows
better. An answer ends: the model learns to write <eos> after it.

Shape suffixes: N lines, T words of a line, V words of the vocabulary.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from w2s_rm.corpora._base import Lines, Predict, share_problems
from w2s_rm.corpora.facts import ANSWER, Facts
from w2s_rm.errors import OptionError
from w2s_rm.testbed.world import world_problems

VERSION = 1
"""Raise it when the same options give other lines."""


@dataclass(frozen=True)
class Answers:
    """An endless text of facts, and of questions with right and wrong answers.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`World`]; the same for the task and all models.
        n_entities (`int`, *optional*, defaults to `48`): See [`World`]; the same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): See [`World`]; the same for the task and all models.
        answers_right (`float`, *optional*, defaults to `0.6`): Share of right answers to questions.
        told_fraction (`float`, *optional*, defaults to `0.5`): Share of lines that tell a fact as it is.

    Raises:
        OptionError: A share outside [0, 1], or a world that cannot be.
    """

    world_seed: int = 0
    n_entities: int = 48
    n_attributes: int = 2
    answers_right: float = 0.6
    told_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        shares = {"answers_right": self.answers_right, "told_fraction": self.told_fraction}
        problems = share_problems(shares) | world_problems(self.world_seed, self.n_entities, self.n_attributes)
        if problems:
            raise OptionError("corpus answers", problems)

    @cached_property
    def asked(self) -> Facts:
        """The questions, in the wording of the tasks, answered right."""
        # Without judgements every line of facts is answered right: `sample` turns around the share of them that is to
        # be wrong.
        return Facts(self.world_seed, self.n_entities, self.n_attributes, judged_fraction=0.0)

    @cached_property
    def told(self) -> Facts:
        """The facts, in other words."""
        return dataclasses.replace(self.asked, task_wording=0.0)

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary, that of the corpus of facts: the position of a word is its token id."""
        return self.asked.words

    @property
    def line_length(self) -> int:
        """Words of a line."""
        return self.asked.line_length

    def content_version(self) -> str:
        """Version of this module and of the facts."""
        return f"answers-{VERSION}-{self.asked.content_version()}"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines of the corpus; to predict are a fact's end, or an answer and the end that follows it.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        asked, told = self.asked.sample(n_lines, rng), self.told.sample(n_lines, rng)
        told_N = rng.random(n_lines) < self.told_fraction
        wrong_N = rng.random(n_lines) >= self.answers_right
        # Columns of the two entities that the question names, and of the answer.
        first_N, second_N, right_N = asked.ids_NT[:, [4, 6, ANSWER]].T
        other_N = np.where(right_N == first_N, second_N, first_N)
        asked.ids_NT[:, ANSWER] = np.where(wrong_N, other_N, right_N)
        # The end too: who generates has to know when to stop.
        asked.predict_NT[:, ANSWER + 1] = True
        return Lines(
            np.where(told_N[:, None], told.ids_NT, asked.ids_NT),
            np.where(told_N[:, None], told.predict_NT, asked.predict_NT),
        )

    def measure(self, predict: Predict) -> dict[str, float]:
        """Ask about every fact, in both wordings.

        Args:
            predict (`Predict`): Gives the logits `(N, V)` of the answer in lines.

        Returns:
            `dict[str, float]`: `accuracy_told` and `accuracy_answers`: share of all facts of which the right entity is
            more likely than the wrong one, after a line that tells, and as an answer to a question.
        """
        told, asked = self.told.measure(predict), self.asked.measure(predict)
        return {"accuracy_told": told["accuracy_answers"], "accuracy_answers": asked["accuracy_answers"]}
