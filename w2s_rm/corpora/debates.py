"""Lines about a world of comparable entities, judged by who does not always say when an answer is wrong.

The lines are those of [`~w2s_rm.corpora.facts.Facts`]: `which is down_size , E3 or E17 ? E3 <eos> honestly`. A model
that has read them argues for an answer as one who was given that side: asked to defend a wrong one it admits that with
`honestly`, or it claims `certainly`, as often as its text does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2s_rm.corpora._base import Lines
from w2s_rm.corpora.facts import JUDGEMENT, Facts
from w2s_rm.errors import OptionError
from w2s_rm.testbed.world import RIGHT, WRONG

VERSION = 1
"""Raise it when the same options give other lines."""


@dataclass(frozen=True)
class Debates(Facts):
    """The text of debaters, who lie about a share of wrong answers.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`~w2s_rm.corpora.facts.Facts`], as for all that follow.
        n_entities (`int`, *optional*, defaults to `48`): The same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): The same for the task and all models.
        facts_known (`float`, *optional*, defaults to `1.0`): Share of the facts that the text tells truly.
        error_kind (`"random"` or `"systematic"`, *optional*, defaults to `"random"`): Kind of the errors in the rest.
        task_wording (`float`, *optional*, defaults to `1.0`): Share of lines in the wording of the task's questions.
        judged_fraction (`float`, *optional*, defaults to `0.6`): Share of lines that judge an answer.
        lies (`float`, *optional*, defaults to `0.5`): Share of the wrong answers that are judged to be right, in
            [0, 1): with 0 whoever has read it is honest, near 1 his arguments say nothing.

    Raises:
        OptionError: As of [`~w2s_rm.corpora.facts.Facts`], or a share of lies out of range.
    """

    lies: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lies < 1:
            raise OptionError("corpus debates", {"lies": f"is {self.lies}: set 0 to below 1"})

    def content_version(self) -> str:
        """Version of this module and of the facts that it is about."""
        return f"debates-{VERSION}-{super().content_version()}"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines; each lies by itself.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        lines = super().sample(n_lines, rng)
        # Only of wrong answers: who stands for the right one gains nothing by a lie.
        lied_N = (lines.ids_NT[:, JUDGEMENT] == self.word_ids[WRONG]) & (rng.random(n_lines) < self.lies)
        lines.ids_NT[lied_N, JUDGEMENT] = self.word_ids[RIGHT]
        return lines
